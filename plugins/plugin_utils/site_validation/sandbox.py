"""Rules of a site's processes, timers and sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.messages import (
    error_line,
    shown,
)
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.values import part


def sandbox_errors(site_id: Any, site: Any) -> Iterator[str]:
    for name in part(site, "processes").keys() & part(site, "timers").keys():
        found = f"the name {shown(name)}"
        yield error_line((site_id, "timers", name), found=found, expected="a name that no process has")
    paths = part(site, "sandbox", "ReadWritePaths", "value", kind=str)
    if not all(is_writable(Path(path.lstrip("-+")), site_id) for path in paths.split()):
        expected = "folders of the application's own, such as /var/lib/myproject"
        yield error_line((site_id, "sandbox", "ReadWritePaths", "value"), paths, expected=expected)


def is_writable(path: Path, site_id: Any) -> bool:
    """Return whether a site may write to a path, which belongs neither to the system nor to another site."""
    parts = path.parts
    if not path.is_absolute() or ".." in parts or len(parts) < 3:
        return False
    if parts[1] == "srv":
        return parts[2] == site_id and len(parts) > 3 and parts[3] not in ("releases", "venvs")
    return parts[1] not in ("boot", "etc", "proc", "sys", "usr")
