"""The files of the repository, also of an archive of it, which has no git."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
# Folders of the collection's roles, and of the role of tests/lab, by name.
ROLES = {path.name: path for path in sorted([*ROOT.glob("roles/*"), *ROOT.glob("tests/lab/roles/*")])}
# Folders in .gitignore, of git, and of a local run of Harbour. A .venv that is a symlink is not a folder.
IGNORED = {".git", ".venv", "dist", "instance"} | {
    line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines() if line.endswith("/")
}


def repository_files(*folders: str) -> list[str]:
    """Return the paths of the files of the repository, or of some folders of it, without symlinks."""
    return sorted(
        str(path.relative_to(ROOT)) for path in _entries(*folders) if path.is_file() and not path.is_symlink()
    )


def repository_symlinks() -> list[str]:
    """Return the paths of the symlinks of the repository."""
    return sorted(str(path.relative_to(ROOT)) for path in _entries() if path.is_symlink())


def _entries(*folders: str) -> Iterator[Path]:
    for top in folders or (".",):
        for here, below, names in os.walk(ROOT / top):
            below[:] = [name for name in below if name not in IGNORED]
            yield from (Path(here, name) for name in (*below, *names))
