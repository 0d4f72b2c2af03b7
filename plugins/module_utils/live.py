"""The two instances of a site, and the symlink to the socket of the live one.

Functions that take `wanted` read the resolved site (plugin_utils/sites/resolver.py): `server_names`,
`health`, `units`, `processes`, `timers`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from ansible_collections.decanter.stack.plugins.module_utils import companions, settings
from ansible_collections.decanter.stack.plugins.module_utils.companions import unit_reason
from ansible_collections.decanter.stack.plugins.module_utils.health import check
from ansible_collections.decanter.stack.plugins.module_utils.shared.files import replace_symlink, write_file
from ansible_collections.decanter.stack.plugins.module_utils.shared.systemd import (
    show,
    systemctl,
    timestamp_seconds,
)
from ansible_collections.decanter.stack.plugins.module_utils.site import Site, Wanted

# --- Comparison with the wanted state ----------------------------------------------------------


def reason_to_switch(site: Site, identifier: str, wanted: Wanted) -> str:
    """Return why the release must be activated, or an empty string if it is live with its current files."""
    colour = site.live_colour()
    if not colour:
        return "nothing was live"
    live = site.release_of(colour)
    if live != identifier:
        return f"{live} was live"
    return unit_reason(site.unit(colour), wanted)


def unfinished(site: Site, identifier: str, wanted: Wanted) -> str:
    """Return a step that a run interrupted after the activation has not done, or an empty string."""
    if site.provisional.exists():
        return "the run that activated it was interrupted before all hosts had it"
    colour = site.live_colour()
    path, line = boot_file(site, colour)
    if not settings.are_kept(site):
        return "its settings are not archived"
    other = show(site.unit(idle(colour)))
    if not path.exists() or path.read_text() != line or show(site.unit(colour))["UnitFileState"] != "enabled":
        return "it would not be live after a reboot"
    if other["UnitFileState"] == "enabled" or other["ActiveState"] == "active":
        return "the previous instance still runs"
    if old := companions.other_companions(site, identifier, wanted):
        return f"{old[0]} still runs"
    reasons = (unit_reason(name, wanted) for name in companions.unit_names(site, identifier, wanted))
    return next((reason for reason in reasons if reason), "")


# --- Instances ---------------------------------------------------------------------------------


def idle(colour: str) -> str:
    return "green" if colour == "blue" else "blue"


def stop(site: Site, colour: str) -> None:
    """Stop an instance and, in the same call, its socket, because a connection would start it again."""
    systemctl("stop", site.unit(colour, "socket"), site.unit(colour))


def start(site: Site, colour: str, identifier: str, wanted: Wanted) -> str:
    """Start a release as the idle instance. Return its fault, or an empty string if it is healthy."""
    units = [show(site.unit(colour, kind)) for kind in ("socket", "service")]
    if any(unit["NeedDaemonReload"] == "yes" or unit["LoadState"] != "loaded" for unit in units):
        systemctl("daemon-reload")
    end_drain(site, colour, wanted["gunicorn"]["timeout"])
    stop(site, colour)
    empty_page_cache(site)
    replace_symlink(site.slot(colour), f"releases/{identifier}")
    try:
        systemctl("start", site.unit(colour, "socket"), site.unit(colour))
    except RuntimeError as error:
        return str(error)
    timeout = wanted["health"]["timeout"]
    deadline = time.monotonic() + timeout
    fault = "no health check was sent"
    while time.monotonic() < deadline:
        unit = show(site.unit(colour))
        if unit["NRestarts"] not in ("", "0") or unit["ActiveState"] == "failed":
            return "it ended"
        fault = check(site.socket(colour), wanted)
        if not fault:
            return ""
        time.sleep(0.1)
    return f"it was not healthy within {timeout} s: {fault}"


def empty_page_cache(site: Site) -> None:
    """Empty nginx's cache of the site.

    The cache keys contain the colour of the instance. Without this, nginx would serve pages of an earlier
    release of the same colour. nginx fetches a page again if its file is missing.
    """
    if site.pages.is_dir():
        for folder in site.pages.iterdir():
            if folder.is_dir() and not folder.is_symlink():
                shutil.rmtree(folder, ignore_errors=True)  # nginx writes there at the same time


def flip(site: Site, colour: str) -> None:
    """Send new connections to an instance."""
    replace_symlink(site.live_socket, f"{colour}.sock")
    replace_symlink(site.current, os.readlink(site.slot(colour)))


def watch(site: Site, identifier: str, wanted: Wanted, seconds: float) -> str:
    """Watch a new live release for some seconds. Return its fault, or an empty string if it stays healthy.

    Sends at least one health check. Two failures in a row are a fault; one may be a worker that restarts.
    """
    deadline, faults = time.monotonic() + seconds, 0
    while True:
        fault = check(site.live_socket, wanted)
        faults = faults + 1 if fault else 0
        if faults == 2:
            return f"it became unhealthy when it was live: {fault}"
        for name in companions.unit_names(site, identifier, wanted):
            unit = show(name)
            if unit["ActiveState"] not in ("active", "activating") or unit["NRestarts"] not in ("", "0"):
                return f"{name} ended"
        if not faults and time.monotonic() > deadline:
            return ""
        time.sleep(0.1)


def drain(site: Site, colour: str, timeout: float = 10) -> None:
    """Stop the previous instance, after it has accepted the connections in the queue of its socket."""
    if show(site.unit(colour))["ActiveState"] != "active":
        return
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        arguments = ["ss", "--no-header", "--listening", "--unix", "src", str(site.socket(colour))]
        out = subprocess.run(arguments, check=True, capture_output=True, text=True).stdout.split()
        if not out or out[2] == "0":
            break
        time.sleep(0.05)
    # A connection that was just accepted may not have a thread yet.
    time.sleep(0.5)
    systemctl("stop", "--no-block", site.unit(colour, "socket"), site.unit(colour))


def end_drain(site: Site, colour: str, timeout: float) -> None:
    """End the drain of an instance that a new release needs, at most `timeout` seconds after its start.

    Until then it finishes requests. WebSockets and streams, for which it may wait longer, are closed.
    """
    name = site.unit(colour)
    while (unit := show(name))["ActiveState"] == "deactivating":
        if time.time() > timestamp_seconds(unit["StateChangeTimestamp"]) + timeout:
            # gunicorn stops its workers at once. The unit may just have ended.
            systemctl("kill", "--kill-who=main", "--signal=QUIT", name, check=False)
            return
        time.sleep(0.1)


def boot_file(site: Site, colour: str) -> tuple[Path, str]:
    """Return the path and the text of the tmpfiles.d file that creates live.sock at boot, before nginx."""
    path = Path(f"/etc/tmpfiles.d/decanter-{site.name}-live.conf")
    return (
        path,
        f"# The live instance; each release writes this file.\nL {site.live_socket} - - - - {colour}.sock\n",
    )


def enable_at_boot(site: Site, colour: str) -> None:
    """Enable an instance at boot, and disable the other one."""
    write_file(*boot_file(site, colour))
    systemctl("--quiet", "enable", site.unit(colour, "socket"), site.unit(colour))
    other = idle(colour)
    systemctl("--quiet", "disable", site.unit(other, "socket"), site.unit(other))
