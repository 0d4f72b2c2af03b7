"""The inputs of a build other than the source."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from ansible_collections.decanter.stack.plugins.module_utils import interpreter


@dataclass
class Wanted:
    """The inputs of a build other than the source."""

    python: str
    server: str  # locked requirements of gunicorn
    site: dict[str, Any]
    commands: list[str]
    secrets: dict[str, str]  # environment variables with credentials of package indexes

    @property
    def driver(self) -> dict[str, Any]:
        """Return the driver that the URL of the site's database needs, or an empty dictionary."""
        return (self.site.get("database") or {}).get("driver", {})

    @property
    def identity(self) -> str:
        """Return the inputs by which environments of equal requirements differ. Patch releases do not."""
        return json.dumps([interpreter.about(self.python)[:2], self.server, sorted(self.site["packages"])])

    @property
    def inputs(self) -> str:
        """Return a hash of all inputs but the source. A release of other inputs is another release."""
        parts = [self.identity, *(self.site.get(key) or "" for key in ("requirements", "install", "indexes"))]
        parts += [self.driver or "", self.site["gunicorn"]["worker_class"] == "gevent"]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
