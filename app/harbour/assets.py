"""Static files with a hash of their content in the URL, so that browsers can cache them for a year.

`python build.py` copies them to `dist/style.0123abcd4567.css` once per release, so that each web host
serves the stylesheet that matches a page, even during a deployment. Without the build, as on a
developer's machine, the hash is in the query: `style.css?v=0123abcd4567`.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from flask import Flask, Response, request

# build.py writes this file.
MANIFEST = Path("dist/manifest.json")
IMMUTABLE = "public, max-age=31536000, immutable"


def init_app(app: Flask) -> None:
    """Make url_for add the hash of the content to URLs of static files.

    A missing file gets a URL without a hash, which responds with 404.
    """
    folder = Path(app.static_folder or "")
    manifest = folder / MANIFEST
    hashed_names: dict[str, str] = {}
    # In debug mode use the sources, so that edits are visible at once.
    if manifest.exists() and not app.debug:
        hashed_names = json.loads(manifest.read_text(encoding="utf-8"))

    @cache
    def version(filename: str) -> str | None:
        path = folder / filename
        return _hash(path) if path.is_file() else None

    @app.url_defaults
    def add_version(endpoint: str, values: dict[str, Any]) -> None:
        if endpoint != "static" or "v" in values:
            return
        if name := hashed_names.get(values["filename"]):
            values["filename"] = name
        elif digest := version(values["filename"]):
            values["v"] = digest

    @app.after_request
    def set_cache_control(response: Response) -> Response:
        """Set Cache-Control where the application serves the static files itself."""
        if request.endpoint == "static" and response.status_code in {200, 206, 304}:
            filename = (request.view_args or {})["filename"]
            if request.args.get("v") == version(filename) or filename in hashed_names.values():
                response.headers["Cache-Control"] = IMMUTABLE
        return response


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
