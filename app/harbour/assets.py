"""Static files that a browser may keep for ever: each URL carries a hash of the content.

`python build.py` copies them to names that have the hash, `dist/style.0123abcd4567.css`, once a
release: a page and its stylesheet then belong together, whichever release a web server gets
the file from. Without it, as on a developer's machine, the hash is in the query,
`style.css?v=0123abcd4567`.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from flask import Flask, Response, request

# Written by build.py.
MANIFEST = Path("dist/manifest.json")
FOR_EVER = "public, max-age=31536000, immutable"


def init_app(app: Flask) -> None:
    """Give every URL that url_for makes for a static file the hash of its content.

    A file that does not exist gets a URL without it, and then a 404 that says so.
    """
    folder = Path(app.static_folder or "")
    manifest = folder / MANIFEST
    built: dict[str, str] = {}
    # Who edits the files wants to see the edits.
    if manifest.exists() and not app.debug:
        built = json.loads(manifest.read_text(encoding="utf-8"))

    @cache
    def version(filename: str) -> str | None:
        path = folder / filename
        return _hash(path) if path.is_file() else None

    @app.url_defaults
    def add_version(endpoint: str, values: dict[str, Any]) -> None:
        if endpoint != "static" or "v" in values:
            return
        if name := built.get(values["filename"]):
            values["filename"] = name
        elif hashed := version(values["filename"]):
            values["v"] = hashed

    @app.after_request
    def keep(response: Response) -> Response:
        """Say how long a static file may be kept, where no web server in front serves them."""
        if request.endpoint == "static" and response.status_code in {200, 206, 304}:
            filename = (request.view_args or {})["filename"]
            if request.args.get("v") == version(filename) or filename in built.values():
                response.headers["Cache-Control"] = FOR_EVER
        return response


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
