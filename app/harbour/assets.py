"""Static files that a browser may keep for ever: each URL carries a hash of the content."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from flask import Flask


def init_app(app: Flask) -> None:
    """Add ``?v=HASH`` to every URL that url_for makes for a static file.

    The hash is worked out once a process. A file that does not exist gets a URL without it, and
    then a 404 that says so.
    """
    folder = Path(app.static_folder or "")

    @cache
    def version(filename: str) -> str | None:
        path = folder / filename
        return hashlib.sha256(path.read_bytes()).hexdigest()[:12] if path.is_file() else None

    @app.url_defaults
    def add_version(endpoint: str, values: dict[str, Any]) -> None:
        if endpoint == "static" and "v" not in values and (hashed := version(values["filename"])):
            values["v"] = hashed
