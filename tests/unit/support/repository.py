"""The files of the repository, also of an archive of it, which has no git."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).parents[3]
# Folders of the collection's roles, and of the role of tests/lab, by name.
ROLES = {path.name: path for path in sorted([*ROOT.glob("roles/*"), *ROOT.glob("tests/lab/roles/*")])}
# Folders that .gitignore names, git's own, and what running Harbour leaves.
IGNORED = {".git", "dist", "instance"} | {
    line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines() if line.endswith("/")
}


def repository_files(*folders: str) -> list[str]:
    """Return the paths of the files of the repository, or of some folders of it, without symlinks."""
    found = []
    for top in folders or (".",):
        for here, below, names in os.walk(ROOT / top):
            below[:] = [name for name in below if name not in IGNORED]
            paths = [Path(here, name) for name in names]
            found += [str(path.relative_to(ROOT)) for path in paths if not path.is_symlink()]
    return sorted(found)
