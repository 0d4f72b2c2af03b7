"""What serves a site: its two instances, its processes and timers, and the symlink that says who is live.

Functions that take `wanted` read the resolved site (plugin_utils/sites/resolver.py): `server_names`,
`health`, `static`, `units`, `processes`, `timers`.
"""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible_collections.decanter.stack.plugins.module_utils.compression import TWINS, twins
from ansible_collections.decanter.stack.plugins.module_utils.shared.files import replace_symlink, write_file
from ansible_collections.decanter.stack.plugins.module_utils.shared.systemd import (
    show,
    systemctl,
    timestamp_seconds,
)
from ansible_collections.decanter.stack.plugins.module_utils.site import Site, read_json
from ansible_collections.decanter.stack.plugins.module_utils.units import newest, own_files

Wanted = dict[str, Any]


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


def ask(path: Path, wanted: Wanted) -> str:
    """What is wrong with the instance behind a socket; an empty string when it is healthy."""
    connection = UnixConnection(path, timeout=10)
    try:
        headers = {
            "Host": wanted["server_names"][0],
            "X-Forwarded-Proto": "https",
            "User-Agent": "decanter-health",
        }
        connection.request("GET", wanted["health"]["path"], headers=headers)
        response = connection.getresponse()
        body = response.read(500).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return f"no answer ({error!r})"
    finally:
        connection.close()
    return "" if response.status < 400 else f"{response.status} {response.reason}: {body.strip()}"


# --- Whether something has to be done ----------------------------------------------------------


def reason_to_switch(site: Site, identifier: str, wanted: Wanted) -> str:
    """Why the release has to be put live; an empty string when it is, and runs what is on disk."""
    colour = site.live_colour()
    if not colour:
        return "nothing was live"
    live = site.release_of(colour)
    if live != identifier:
        return f"{live} was live"
    return unit_reason(site.unit(colour), wanted)


def unit_reason(name: str, wanted: Wanted) -> str:
    """Why a unit has to be started anew."""
    unit = show(name)
    if unit["ActiveState"] != "active":
        return f"{name} was {unit['ActiveState']}"
    changed, path = newest([*own_files(name, unit), *wanted["units"]["reads"]])
    return f"{path} has changed" if changed > timestamp_seconds(unit["ActiveEnterTimestamp"]) else ""


def unfinished(site: Site, identifier: str, wanted: Wanted) -> str:
    """What a run that was cut off after the flip has left undone."""
    if site.provisional.exists():
        return "the run that activated it was cut off before all hosts had it"
    colour = site.live_colour()
    path, line = boot_note(site, colour)
    other = show(site.unit(idle(colour)))
    if not path.exists() or path.read_text() != line or show(site.unit(colour))["UnitFileState"] != "enabled":
        return "it would not be live after a reboot"
    if other["UnitFileState"] == "enabled" or other["ActiveState"] == "active":
        return "the instance before it still runs"
    if strangers := other_companions(site, identifier, wanted):
        return f"{strangers[0]} still runs"
    reasons = (unit_reason(name, wanted) for name in companions(site, identifier, wanted))
    return next((reason for reason in reasons if reason), "")


# --- Instances ---------------------------------------------------------------------------------


def idle(colour: str) -> str:
    return "green" if colour == "blue" else "blue"


def stop(site: Site, colour: str) -> None:
    """Stop an instance. The socket in the same call, or a late connection would start it again."""
    systemctl("stop", site.unit(colour, "socket"), site.unit(colour))


def start(site: Site, colour: str, identifier: str, wanted: Wanted) -> str:
    """Start a release as the idle instance; what is wrong with it, an empty string when it is healthy."""
    units = [show(site.unit(colour, kind)) for kind in ("socket", "service")]
    if any(unit["NeedDaemonReload"] == "yes" or unit["LoadState"] != "loaded" for unit in units):
        systemctl("daemon-reload")
    stop(site, colour)
    forget_pages(site)
    replace_symlink(site.slot(colour), f"releases/{identifier}")
    try:
        systemctl("start", site.unit(colour, "socket"), site.unit(colour))
    except RuntimeError as error:
        return str(error)
    timeout = wanted["health"]["timeout"]
    deadline = time.monotonic() + timeout
    fault = "it was not asked"
    while time.monotonic() < deadline:
        unit = show(site.unit(colour))
        if unit["NRestarts"] not in ("", "0") or unit["ActiveState"] == "failed":
            return "it ended"
        fault = ask(site.socket(colour), wanted)
        if not fault:
            return ""
        time.sleep(0.1)
    return f"it was not healthy within {timeout} s: {fault}"


def forget_pages(site: Site) -> None:
    """Empty the cache that nginx keeps for the site.

    Its pages are kept by the colour that is live: none of the release that was of this colour must be found
    when another is. To nginx a file that is gone is a page that it has not got.
    """
    if site.pages.is_dir():
        for folder in site.pages.iterdir():
            if folder.is_dir() and not folder.is_symlink():
                shutil.rmtree(folder, ignore_errors=True)  # nginx writes there meanwhile


def flip(site: Site, colour: str) -> None:
    """Send new connections to an instance."""
    replace_symlink(site.live_socket, f"{colour}.sock")
    replace_symlink(site.current, os.readlink(site.slot(colour)))


def watch(site: Site, identifier: str, wanted: Wanted, seconds: float) -> str:
    """Look at a release that has just gone live; what is wrong with it, an empty string when nothing is.

    Once at least, and for so long. Two bad answers in a row: one may be a worker that was replaced.
    """
    deadline, faults = time.monotonic() + seconds, 0
    while True:
        fault = ask(site.live_socket, wanted)
        faults = faults + 1 if fault else 0
        if faults == 2:
            return f"it became unhealthy when it was live: {fault}"
        for name in companions(site, identifier, wanted):
            unit = show(name)
            if unit["ActiveState"] not in ("active", "activating") or unit["NRestarts"] not in ("", "0"):
                return f"{name} ended"
        if not faults and time.monotonic() > deadline:
            return ""
        time.sleep(0.1)


def drain(site: Site, colour: str, timeout: float = 10) -> None:
    """Let an instance that is no longer live end what it has; what waits in its socket is taken first."""
    if show(site.unit(colour))["ActiveState"] != "active":
        return
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        arguments = ["ss", "--no-header", "--listening", "--unix", "src", str(site.socket(colour))]
        out = subprocess.run(arguments, check=True, capture_output=True, text=True).stdout.split()
        if not out or out[2] == "0":
            break
        time.sleep(0.05)
    # A connection that was just taken from the socket may not be with a thread yet.
    time.sleep(0.5)
    systemctl("stop", "--no-block", site.unit(colour, "socket"), site.unit(colour))


def boot_note(site: Site, colour: str) -> tuple[Path, str]:
    """/run is empty after a reboot: tmpfiles makes live.sock again, before nginx starts."""
    path = Path(f"/etc/tmpfiles.d/decanter-{site.name}-live.conf")
    return (
        path,
        f"# Which instance is live; written by each release.\nL {site.live_socket} - - - - {colour}.sock\n",
    )


def remember(site: Site, colour: str) -> None:
    """Have a reboot come back with this instance."""
    write_file(*boot_note(site, colour))
    systemctl("--quiet", "enable", site.unit(colour, "socket"), site.unit(colour))
    other = idle(colour)
    systemctl("--quiet", "disable", site.unit(other, "socket"), site.unit(other))


# --- Processes and timers ----------------------------------------------------------------------


def companions(site: Site, identifier: str, wanted: Wanted) -> list[str]:
    """Return the units that run beside a release's instance."""
    kinds = {"service": wanted["processes"], "timer": wanted["timers"]}
    return [
        f"{site.name}.{name}@{identifier}.{kind}" for kind, named in kinds.items() for name in sorted(named)
    ]


def other_companions(site: Site, identifier: str, wanted: Wanted) -> list[str]:
    """Those of other releases, or that are no longer wanted, as far as they run or would after a reboot."""
    pattern = f"{site.name}.*@*"
    lines = systemctl("list-units", "--all", "--plain", "--no-legend", pattern).splitlines()
    running = {
        fields[0] for fields in map(str.split, lines) if fields[2] in ("active", "activating", "failed")
    }
    enabled = {path.name for path in Path("/etc/systemd/system").glob(f"*.wants/{pattern}")}
    # What a timer has started may end: it is started anew by the timer of the next release.
    let_be = tuple(f"{site.name}.{name}@" for name in ("task", *wanted["timers"]))
    own = {*companions(site, identifier, wanted)}
    return sorted(
        name
        for name in (running | enabled) - own
        if name.endswith(".timer") or (name.endswith(".service") and not name.startswith(let_be))
    )


def unreadable(site: Site, identifier: str, wanted: Wanted) -> str:
    """The process or timer that systemd cannot make sense of, in its words; an empty string when it can."""
    names = companions(site, identifier, wanted)
    if any(show(name)["NeedDaemonReload"] == "yes" for name in names):
        systemctl("daemon-reload")
    for name in names:
        if show(name)["LoadState"] != "loaded":
            arguments = ["systemd-analyze", "verify", "--man=no", name]
            said = subprocess.run(arguments, capture_output=True, text=True).stderr.strip().splitlines()
            return f"systemd refuses {name}: {said[0] if said else 'it is not there'}"
    return ""


def move_companions(site: Site, identifier: str, wanted: Wanted) -> None:
    """Have a site's processes and timers be those of a release."""
    if old := other_companions(site, identifier, wanted):
        # One that systemd could not read does not run, and cannot be stopped either.
        if running := [name for name in old if show(name)["ActiveState"] not in ("inactive", "failed")]:
            systemctl("stop", *running)
        systemctl("--quiet", "disable", *old)
        systemctl("reset-failed", *old, check=False)  # This fails for units that have not failed.
    own = companions(site, identifier, wanted)
    if stale := [name for name in own if unit_reason(name, wanted)]:
        systemctl("--quiet", "enable", *own)
        systemctl("restart", *stale)
    kept = {f"{name.split('@')[0]}@.{kind}" for name in own for kind in ("service", "timer")}
    for path in Path("/etc/systemd/system").glob(f"{site.name}.*@.*"):
        if path.name not in kept and not path.name.startswith(f"{site.name}.task@"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


# --- Files -------------------------------------------------------------------------------------


def publish(site: Site, identifier: str, static: list[dict[str, str]], check: bool) -> bool:
    """Copy a release's static files beside those of the release before; whether any was missing.

    What was compressed for another release is never served for a file of this one.
    """
    changed = False
    os.umask(0o022)  # nginx reads the folders that are made here
    for folder in static:
        source = site.release(identifier) / folder["path"]
        target = site.assets / folder["url"].strip("/")
        for file in sorted(plain_files(source), key=lambda file: file.suffix in TWINS):
            copy = target / file.relative_to(source)
            current = copy.is_file() and same(file, copy)
            foreign = [
                there
                for own, there in zip(twins(file), twins(copy), strict=True)
                if there.is_file() and not (current and own.is_file())
            ]
            if current and not foreign:
                continue
            changed = True
            if check:
                continue
            for twin in foreign:
                twin.unlink()
            if not current:
                copy.parent.mkdir(parents=True, exist_ok=True)
                new = copy.with_name(f".{copy.name}.new")
                shutil.copy2(file, new)
                new.chmod(0o644)
                new.rename(copy)
    return changed


def withdraw(site: Site, static: list[dict[str, str]]) -> None:
    """Remove published files that neither the live release nor the one before it has."""
    releases = {site.release_of(colour) for colour in ("blue", "green")} - {""}
    kept = {
        site.assets / folder["url"].strip("/") / path.relative_to(site.release(identifier) / folder["path"])
        for identifier in releases
        for folder in static
        for path in plain_files(site.release(identifier) / folder["path"])
    }
    for here, _, names in os.walk(site.assets, topdown=False):
        for path in {Path(here, name) for name in names} - kept:
            path.unlink()
        if Path(here) != site.assets and not os.listdir(here):
            os.rmdir(here)


def plain_files(folder: Path) -> Iterator[Path]:
    """The files below a folder that are no symlinks: those must not lead nginx anywhere."""
    for here, _, names in os.walk(folder):
        yield from (path for name in names if not (path := Path(here, name)).is_symlink())


def same(one: Path, other: Path) -> bool:
    return (one.stat().st_size, int(one.stat().st_mtime)) == (
        other.stat().st_size,
        int(other.stat().st_mtime),
    )


def prune(site: Site, keep: int) -> None:
    """Remove what is no longer kept: old releases with all that is beside them, and environments that
    none of the others needs. As many that failed are kept as good ones, with the dumps from before them.
    """
    live = {site.release_of(colour) for colour in ("blue", "green")}
    live.add(read_json(site.provisional).get("before", ""))
    records = sorted(site.records(), key=lambda record: record.get("went_live") or record["created"])
    failed = [record["id"] for record in records if record.get("state") == "failed"]
    good = [record["id"] for record in records if record.get("state") != "failed"]
    old = {one for several in (good, failed) for one in several[: max(len(several) - keep, 0)]}
    for identifier in old - live:
        if site.release(identifier).is_dir():  # one that could not be built has none
            shutil.rmtree(site.release(identifier))
        for path in site.releases.glob(f"{identifier}.*"):
            path.unlink()
    needed = {(site.release(identifier) / ".venv").resolve().name for identifier in site.identifiers()}
    for path in site.venvs.iterdir():
        # An environment, or the marker beside it.
        if path.name.removesuffix(".json") not in needed:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
