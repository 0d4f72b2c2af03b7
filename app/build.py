"""Give copies of the static files names that have the hash of their content, once a release.

This does not import the package `harbour`, which takes a second: the whole application is loaded with it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

STATIC = Path(__file__).with_name("harbour") / "static"
BUILT = "dist"
MANIFEST = "manifest.json"  # read by harbour/assets.py


def build(folder: Path) -> dict[str, str]:
    """Copy each static file to a name with its hash; return the new names by the old."""
    shutil.rmtree(folder / BUILT, ignore_errors=True)
    names = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        old = path.relative_to(folder)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        new = Path(BUILT, old.with_name(f"{old.stem}.{digest}{old.suffix}"))
        (folder / new).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / new)
        names[str(old)] = str(new)
    (folder / BUILT / MANIFEST).write_text(json.dumps(names, indent=2) + "\n", encoding="utf-8")
    return names


if __name__ == "__main__":
    print(f"{len(build(STATIC))} static files have their hash in their names.")
