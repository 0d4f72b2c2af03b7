"""One site as it lies on a host: its paths, its records, and changes that are never seen half done.

/srv/SITE/releases/ID/     one immutable tree a release
/srv/SITE/releases/ID.*    what is known of it (json), the database's schema after it (schema.json), and
                           a dump from before its migration (sql.gz)
/srv/SITE/venvs/HASH/      dependencies, shared by the releases that need the same
/srv/SITE/{blue,green}     what each instance runs: symlinks to a release
/srv/SITE/current          the live release, for people and commands
/srv/SITE/assets/          static files of the live and the previous release together
/srv/SITE/lock.json        who works on the site now
/srv/SITE/once.json        commands of `setup` that have run
/srv/SITE/pin.json         the release that somebody went back to, which a converge respects
/srv/SITE/provisional.json what to return to while a run activates a release on all hosts of the site
/var/log/decanter/SITE.log one line for each release that went live, or did not
/run/decanter/SITE/        blue.sock, green.sock and live.sock, a symlink to one of them
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pwd
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.decanter.stack.plugins.module_utils.paths import SitePaths
from ansible_collections.decanter.stack.plugins.module_utils.shared.files import write_file

COLOURS = ("blue", "green")
Wanted = dict[str, Any]  # the resolved site: plugin_utils/sites/resolver.py


class Service(NamedTuple):
    """A service of which a site can have an instance: the unit SERVICE@SITE."""

    package: str
    variable: str  # environment variable with the address, for the application
    address: str  # {} is the name of the site


SERVICES = {
    "redis": Service("redis-server", "REDIS_URL", "unix:///run/redis-{}/redis.sock"),
    "memcached": Service("memcached", "MEMCACHED_SOCKET", "/run/memcached-{}/memcached.sock"),
}


class Site:
    """Paths and names of one site. Nothing is made by asking for them."""

    def __init__(self, name: str) -> None:
        self.name = name
        paths = SitePaths(name)
        self.root = Path(paths.home)
        self.releases = Path(paths.releases)
        self.venvs = Path(paths.environments)
        self.assets = Path(paths.assets)
        self.current = Path(paths.current)
        self.run = Path(paths.sockets)
        self.pages = Path(paths.page_cache)
        self.live_socket = Path(paths.live_socket)
        self.lock = self.root / "lock.json"
        self.pin = self.root / "pin.json"
        self.once = self.root / "once.json"
        self.provisional = self.root / "provisional.json"
        self.closed = Path(paths.maintenance) / "closed"
        self.log = Path(paths.release_log)

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

    def records(self) -> list[dict[str, Any]]:
        """What is known of each release, oldest first, those among them that could not be built."""
        if not self.releases.is_dir():
            return []
        return [
            read_json(path) for path in sorted(self.releases.glob("*Z-*.json")) if path.name.count(".") == 1
        ]

    def record(self, identifier: str) -> dict[str, Any]:
        return read_json(self.beside(identifier, "json"))

    def write_record(self, identifier: str, record: dict[str, Any]) -> None:
        write_json(self.beside(identifier, "json"), record)

    def amend_record(self, identifier: str, **more: Any) -> None:
        self.write_record(identifier, self.record(identifier) | more)

    def fail(self, identifier: str, fault: str) -> None:
        """Mark a release as one that nobody goes back to, but for the one that is live, and log it."""
        live = self.live_release()
        if identifier != live:
            self.amend_record(identifier, state="failed", fault=fault)
        self.note("failed", identifier, because=fault, live=live)

    def is_migrated(self, identifier: str) -> bool:
        """Whether the database was brought up to a release, as far as its record knows."""
        return bool(self.record(identifier).get("migrated"))

    def schema(self, identifier: str) -> dict[str, str]:
        """The schema that a release was made for; see module_utils/databases/engine.py."""
        return read_json(self.beside(identifier, "schema.json"))

    def beside(self, identifier: str, suffix: str) -> Path:
        """A file that is kept with a release and goes with it."""
        return self.releases / f"{identifier}.{suffix}"

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Nothing else changes the site's releases meanwhile.

        It ends with the process, so that it is never stale. What a killed run left at work on the host
        is waited for.
        """
        with open(self.root / ".at-work", "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def holder(self) -> str:
        """Who works on the site now."""
        return read_json(self.lock).get("by", "somebody")

    def note(self, what: str, identifier: str, **more: str) -> None:
        """Add a line to the site's log of releases: when, what, by whom."""
        fields = {"by": self.holder(), "in": read_json(self.lock).get("what", ""), **more}
        self.log.parent.mkdir(mode=0o755, exist_ok=True)
        line = " ".join(
            [now(), what, identifier, *(f"{key}={json.dumps(value)}" for key, value in fields.items())]
        )
        with open(self.log, "a") as file:
            file.write(line + "\n")

    def live_colour(self) -> str:
        """The colour that nginx reaches, or an empty string before the first release."""
        if not self.live_socket.is_symlink():
            return ""
        return Path(os.readlink(self.live_socket)).stem

    def live_release(self) -> str:
        """The ID that is live, or an empty string."""
        colour = self.live_colour()
        return self.release_of(colour) if colour else ""

    def release_of(self, colour: str) -> str:
        """The ID that a colour runs, or an empty string."""
        slot = self.slot(colour)
        return Path(os.readlink(slot)).name if slot.is_symlink() else ""


def now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def read_json(path: Path) -> dict[str, Any]:
    """What a file holds; nothing when it is not there."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return {}


def write_json(path: Path, value: dict[str, Any]) -> None:
    write_file(path, json.dumps(value, indent=2, sort_keys=True) + "\n", 0o640)
