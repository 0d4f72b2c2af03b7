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

from ansible_collections.decanter.stack.plugins.module_utils import companions
from ansible_collections.decanter.stack.plugins.module_utils.companions import unit_reason
from ansible_collections.decanter.stack.plugins.module_utils.health import ask
from ansible_collections.decanter.stack.plugins.module_utils.shared.files import replace_symlink, write_file
from ansible_collections.decanter.stack.plugins.module_utils.shared.systemd import show, systemctl
from ansible_collections.decanter.stack.plugins.module_utils.site import Site, Wanted

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
    if strangers := companions.other_companions(site, identifier, wanted):
        return f"{strangers[0]} still runs"
    reasons = (unit_reason(name, wanted) for name in companions.unit_names(site, identifier, wanted))
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
        for name in companions.unit_names(site, identifier, wanted):
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
