"""Write roles/python_app/files/pythons.json: the newest build of each Python that hosts may download.

    bin/lock-pythons [FILE]

FILE is a uv program, or a download-metadata.json of uv's sources (crates/uv-python). Without it the uv that
`make lock` uses is read. uv prints its list of Pythons without checksums (`uv python list`), but the program
contains the whole list as a zstd frame. Its checksums are therefore as trustworthy as the program, which
requirements.txt pins by hash, and no other server is needed.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tools.library import ROOT

PINS = ROOT / "roles/python_app/files/pythons.json"
OLDEST = 10  # 3.10: the oldest Python that roles/release/files/gunicorn.txt is locked for
MACHINES = ("aarch64", "x86_64")
ZSTD = b"\x28\xb5\x2f\xfd"  # RFC 8878, section 3.1.1


def metadata(path: Path) -> dict[str, Any]:
    """Return uv's list of Pythons, from its sources or the program. Raise ValueError without a list."""
    data = path.read_bytes()
    if data.lstrip().startswith(b"{"):
        return json.loads(data)
    start = data.find(ZSTD)
    while start >= 0:
        # zstd reports the bytes after the frame as an error, but its output is complete.
        text = subprocess.run(["zstd", "-dc"], input=data[start:], capture_output=True).stdout
        if text.startswith(b'{"cpython-'):
            return json.loads(text)
        start = data.find(ZSTD, start + 1)
    raise ValueError(f"{path}: found no list of Pythons, expected a uv program or its download-metadata.json")


def pins(known: dict[str, Any]) -> dict[str, Any]:
    """Return the newest patch release of each minor version, for each machine, by uv's own keys."""
    newest: dict[tuple[int, str], tuple[str, dict[str, Any]]] = {}
    for key, entry in known.items():
        plain = not entry["prerelease"] and not entry["variant"] and not entry["arch"]["variant"]
        linux = entry["name"] == "cpython" and (entry["os"], entry["libc"]) == ("linux", "gnu")
        place = entry["minor"], entry["arch"]["family"]
        if not (plain and linux and entry["major"] == 3 and place[0] >= OLDEST and place[1] in MACHINES):
            continue
        if place not in newest or entry["patch"] > newest[place][1]["patch"]:
            newest[place] = key, entry
    for key, entry in newest.values():
        if not entry["sha256"]:
            raise ValueError(f"{key}: found no checksum, expected a SHA-256")
    return dict(newest[place] for place in sorted(newest))


def main() -> None:
    named = sys.argv[1] if len(sys.argv) > 1 else shutil.which("uv")
    if not named:
        sys.exit("lock-pythons: found no uv, expected it on the path: pipx install uv")
    if not shutil.which("zstd"):
        sys.exit("lock-pythons: found no zstd, expected it on the path: apt-get install zstd")
    try:
        PINS.write_text(json.dumps(pins(metadata(Path(named).resolve())), indent=2) + "\n")
    except ValueError as error:
        sys.exit(f"lock-pythons: {error}")


if __name__ == "__main__":
    main()
