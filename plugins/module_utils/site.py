"""The state of one site on a host: its paths and its records.

/srv/SITE/releases/ID/     the immutable tree of a release
/srv/SITE/releases/ID.*    its record (json), the database's schema after its migration (schema.json), and
                           the dump from before its migration (sql.gz)
/srv/SITE/venvs/HASH/      an environment, shared by releases with the same requirements
/srv/SITE/{blue,green}     symlinks to the release of each instance
/srv/SITE/current          a symlink to the live release, for people and commands
/srv/SITE/assets/          static files of the live and the previous release together
/srv/SITE/lock.json        the lock of the run that changes the site
/srv/SITE/once.json        commands of `setup` that have run
/srv/SITE/pin.json         the pinned release of a rollback, which a converge keeps
/srv/SITE/provisional.json the release to return to while a run activates another on all hosts of the site
/var/lib/decanter/settings/SITE.tar the settings that the live release runs with
/var/log/decanter/SITE.log one line for each release that was activated, or failed
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
    variable: str  # the application's environment variable with the address
    address: str  # {} is the name of the site


SERVICES = {
    "redis": Service("redis-server", "REDIS_URL", "unix:///run/redis-{}/redis.sock"),
    "memcached": Service("memcached", "MEMCACHED_SOCKET", "/run/memcached-{}/memcached.sock"),
}


class Site:
    """Paths and names of one site. The constructor creates nothing."""

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
        self.configuration = Path(paths.configuration)
        self.settings = Path(paths.settings_archive)
        self.log = Path(paths.release_log)

    def prepare(self) -> None:
        """Create the folders of releases and environments. Only root and the site's group can read them."""
        group = pwd.getpwnam(self.name).pw_gid
        for folder in (self.releases, self.venvs):
            folder.mkdir(mode=0o750, exist_ok=True)
            os.chown(folder, 0, group)

    def release(self, identifier: str) -> Path:
        return self.releases / identifier

    def slot(self, colour: str) -> Path:
        """Return the symlink to the release of an instance."""
        return self.root / colour

    def socket(self, colour: str) -> Path:
        return self.run / f"{colour}.sock"

    def unit(self, colour: str, kind: str = "service") -> str:
        return f"{self.name}@{colour}.{kind}"

    def identifiers(self) -> list[str]:
        """Return the IDs of complete releases, oldest first. An ID begins with its time."""
        if not self.releases.is_dir():
            return []
        return sorted(p.name for p in self.releases.iterdir() if p.is_dir() and p.name[0] != ".")

    def records(self) -> list[dict[str, Any]]:
        """Return the records of all releases, oldest first, including those with a failed build."""
        if not self.releases.is_dir():
            return []
        return [
            read_json(path) for path in sorted(self.releases.glob("*Z-*.json")) if path.name.count(".") == 1
        ]

    def record(self, identifier: str) -> dict[str, Any]:
        return read_json(self.sidecar(identifier, "json"))

    def write_record(self, identifier: str, record: dict[str, Any]) -> None:
        write_json(self.sidecar(identifier, "json"), record)

    def amend_record(self, identifier: str, **more: Any) -> None:
        self.write_record(identifier, self.record(identifier) | more)

    def fail(self, identifier: str, fault: str) -> None:
        """Mark a release as failed, unless it is live, and log it. A rollback skips failed releases."""
        live = self.live_release()
        if identifier != live:
            self.amend_record(identifier, state="failed", fault=fault)
        self.note("failed", identifier, because=fault, live=live)

    def is_migrated(self, identifier: str) -> bool:
        """Return whether the record of a release contains its migration."""
        return bool(self.record(identifier).get("migrated"))

    def schema(self, identifier: str) -> dict[str, str]:
        """Return the schema after the migration of a release; see module_utils/databases/engine.py."""
        return read_json(self.sidecar(identifier, "schema.json"))

    def sidecar(self, identifier: str, suffix: str) -> Path:
        """Return the path of a file that belongs to a release and is removed with it."""
        return self.releases / f"{identifier}.{suffix}"

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Exclude other processes on this host that change the site's releases; wait for a running one.

        The kernel releases the lock when the process ends, so it is never stale.
        """
        with open(self.root / ".at-work", "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def holder(self) -> str:
        """Return the user and machine that hold the lock of the site."""
        return read_json(self.lock).get("by", "unknown")

    def note(self, what: str, identifier: str, **more: str) -> None:
        """Append a line to the site's release log: time, event, release, user."""
        fields = {"by": self.holder(), "in": read_json(self.lock).get("what", ""), **more}
        self.log.parent.mkdir(mode=0o755, exist_ok=True)
        line = " ".join(
            [now(), what, identifier, *(f"{key}={json.dumps(value)}" for key, value in fields.items())]
        )
        with open(self.log, "a") as file:
            file.write(line + "\n")

    def live_colour(self) -> str:
        """Return the colour of the live instance, or an empty string before the first release."""
        if not self.live_socket.is_symlink():
            return ""
        return Path(os.readlink(self.live_socket)).stem

    def live_release(self) -> str:
        """Return the ID of the live release, or an empty string."""
        colour = self.live_colour()
        return self.release_of(colour) if colour else ""

    def release_of(self, colour: str) -> str:
        """Return the ID of an instance's release, or an empty string."""
        slot = self.slot(colour)
        return Path(os.readlink(slot)).name if slot.is_symlink() else ""


def now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def read_json(path: Path) -> dict[str, Any]:
    """Return the content of a JSON file, or an empty dictionary if the file does not exist."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return {}


def write_json(path: Path, value: dict[str, Any]) -> None:
    write_file(path, json.dumps(value, indent=2, sort_keys=True) + "\n", 0o640)
