"""One site as it lies on a host: its paths, its records, and changes that are never seen half done.

/srv/SITE/releases/ID/     one immutable tree a release, and ID.json, what is known of it
/srv/SITE/venvs/HASH/      dependencies, shared by the releases that need the same
/srv/SITE/{blue,green}     what each instance runs: symlinks to a release
/srv/SITE/current          the live release, for people and commands
/srv/SITE/assets/          static files of the live and the previous release together
/run/decanter/SITE/        blue.sock, green.sock and live.sock, a symlink to one of them
"""

from __future__ import annotations

import json
import os
import pwd
from pathlib import Path
from typing import Any

COLOURS = ("blue", "green")


class Site:
    """Paths and names of one site. Nothing is made by asking for them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.root = Path("/srv") / name
        self.releases = self.root / "releases"
        self.venvs = self.root / "venvs"
        self.assets = self.root / "assets"
        self.current = self.root / "current"
        self.run = Path("/run/decanter") / name
        self.live_socket = self.run / "live.sock"

    def prepare(self) -> None:
        """Make the folders that releases are kept in: the site reads them, nobody else does."""
        group = pwd.getpwnam(self.name).pw_gid
        for folder in (self.releases, self.venvs):
            folder.mkdir(mode=0o750, exist_ok=True)
            os.chown(folder, 0, group)

    def release(self, identifier: str) -> Path:
        return self.releases / identifier

    def slot(self, colour: str) -> Path:
        """The symlink that tells the instance of a colour which release it runs."""
        return self.root / colour

    def socket(self, colour: str) -> Path:
        return self.run / f"{colour}.sock"

    def unit(self, colour: str, kind: str = "service") -> str:
        return f"{self.name}@{colour}.{kind}"

    def identifiers(self) -> list[str]:
        """The finished releases, oldest first: an ID begins with its time."""
        if not self.releases.is_dir():
            return []
        return sorted(p.name for p in self.releases.iterdir() if p.is_dir() and p.name[0] != ".")

    def record(self, identifier: str) -> dict[str, Any]:
        return read_json(self.releases / f"{identifier}.json")

    def write_record(self, identifier: str, record: dict[str, Any]) -> None:
        write_json(self.releases / f"{identifier}.json", record)

    def live_colour(self) -> str:
        """The colour that nginx reaches, or an empty string before the first release."""
        if not self.live_socket.is_symlink():
            return ""
        return Path(os.readlink(self.live_socket)).stem

    def release_of(self, colour: str) -> str:
        """The ID that a colour runs, or an empty string."""
        slot = self.slot(colour)
        return Path(os.readlink(slot)).name if slot.is_symlink() else ""


def read_json(path: Path) -> dict[str, Any]:
    """What a file holds; nothing when it is not there."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return {}


def write_file(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace a file at once: a reader, or a power cut, sees the old one or the new one whole."""
    new = path.with_name(f".{path.name}.new")
    with open(new, "w") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)


def write_json(path: Path, value: dict[str, Any]) -> None:
    write_file(path, json.dumps(value, indent=2, sort_keys=True) + "\n", 0o640)


def replace_symlink(path: Path, target: str) -> bool:
    """Point a symlink elsewhere at once; whether that changed anything."""
    if path.is_symlink() and os.readlink(path) == target:
        return False
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.rename(path)
    return True
