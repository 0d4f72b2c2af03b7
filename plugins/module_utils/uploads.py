"""Folders of `uploads`: the first release fills them, and later releases do not change them."""

from __future__ import annotations

import os
from pathlib import Path

PYTHON = {".py", ".pyi", ".pyx"}
TEMPLATES = {".html", ".htm", ".jinja", ".jinja2", ".j2", ".mako"}
SCRIPTS = {".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".tsx", ".coffee", ".vue", ".svelte"}
STYLES = {".css", ".scss", ".sass", ".less", ".styl"}
MANIFESTS = {"package.json", "package-lock.json", "tsconfig.json"}


def code_in(folder: Path) -> str:
    """Return the first relative path that shows that a folder holds code, or "".

    Code is Python, templates, front-end sources and package.json. `uploads` copies a folder once, so
    a later release could not update such files.
    """
    for top, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            path = Path(top, name)
            if is_code(path):
                return path.relative_to(folder).as_posix()
    return ""


def is_code(path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix in PYTHON or path.name in MANIFESTS:
        return True
    return suffix in TEMPLATES | SCRIPTS | STYLES and has_text(path)


def has_text(path: Path) -> bool:
    """Return whether a file has text.

    An empty index.html hides a listing, and .ts is a video as well (an MPEG transport stream).
    """
    try:
        with path.open("rb") as file:
            start = file.read(1024)
    except OSError:  # such as a dangling link
        return False
    return bool(start.strip()) and b"\0" not in start
