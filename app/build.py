"""Copy the static files to names with a hash of their content, once per release.

This script does not import the package `harbour`, because loading the whole application takes a second.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

STATIC = Path(__file__).with_name("harbour") / "static"
OUTPUT = "dist"
MANIFEST = "manifest.json"  # see harbour/assets.py


def build(folder: Path) -> dict[str, str]:
    """Copy each static file to a name with its hash. Return the new names by old name."""
    shutil.rmtree(folder / OUTPUT, ignore_errors=True)
    names = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        old = path.relative_to(folder)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        new = Path(OUTPUT, old.with_name(f"{old.stem}.{digest}{old.suffix}"))
        (folder / new).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / new)
        names[str(old)] = str(new)
    (folder / OUTPUT / MANIFEST).write_text(json.dumps(names, indent=2) + "\n", encoding="utf-8")
    return names


if __name__ == "__main__":
    print(f"Copied {len(build(STATIC))} static files to names with a hash.")
