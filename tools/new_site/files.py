"""Files of a source: which of them are read, and their text."""

from __future__ import annotations

import os
import re
from pathlib import Path

# Folders without code of the application.
SKIPPED = {
    "build",
    "dist",
    "docs",
    "node_modules",
    "site-packages",
    "test",
    "tests",
    "venv",
    "__pycache__",
}
MOST_FILES = 2000
LARGEST = 1 << 20  # bytes


def text_of(path: Path) -> str:
    """Return a file's text, or "" for a file that is missing, unreadable or too large."""
    try:
        return path.read_text("utf-8", errors="replace") if path.stat().st_size <= LARGEST else ""
    except OSError:
        return ""


def untemplated(path: Path) -> str:
    """Return a file's lines without Jinja templates, which Ansible would run on the controller."""
    return "\n".join(line for line in text_of(path).splitlines() if not has_template(line))


def has_template(text: str) -> bool:
    return bool(re.search(r"\{[{%#]", text))


def python_files(folder: Path) -> list[Path]:
    """Return the relative paths of the application's Python files, without its tests."""
    found = []
    for top, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if is_searched(name))
        found += [Path(top, name).relative_to(folder) for name in sorted(files) if name.endswith(".py")]
        if len(found) >= MOST_FILES:
            break
    return [path for path in found if not path.stem.startswith("test_") and path.stem != "conftest"]


def is_searched(folder: str) -> bool:
    return folder not in SKIPPED and not folder.startswith(".")


def folders_named(folder: Path, name: str) -> list[str]:
    """Return the relative paths of folders with a name; a folder below such a folder is not one."""
    found = []
    for top, folders, _ in os.walk(folder):
        found += [Path(top, other).relative_to(folder).as_posix() for other in folders if other == name]
        folders[:] = [other for other in folders if is_searched(other) and other != name]
    return sorted(found)
