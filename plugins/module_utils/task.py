"""Commands of a release, run as the site by the unit SITE.task@ID."""

from __future__ import annotations

import time
from pathlib import Path

from ansible_collections.decanter.stack.plugins.module_utils.shared.files import write_file
from ansible_collections.decanter.stack.plugins.module_utils.shared.systemd import show, systemctl
from ansible_collections.decanter.stack.plugins.module_utils.site import Site
from ansible_collections.decanter.stack.plugins.module_utils.units import log


class Failed(Exception):
    """A command failed; the message is the end of its log."""


def run(site: Site, identifier: str, command: str) -> str:
    """Run a command in a release, with its environment, sandbox and credentials; what it printed.

    It goes on when the connection is lost. One that still runs since then is waited for.
    """
    unit = f"{site.name}.task@{identifier}.service"
    state = show(unit)
    while state["ActiveState"] in ("activating", "deactivating"):
        time.sleep(0.2)
        state = show(unit)
    if state["NeedDaemonReload"] == "yes" or state["LoadState"] != "loaded":
        systemctl("daemon-reload")
    command = command.replace("{release}", str(site.release(identifier)))
    escaped = command.replace("\\", "\\\\").replace('"', '\\"')
    write_file(Path(f"/run/decanter/{site.name}.task"), f'COMMAND="{escaped}"\n', 0o600)
    begun = time.time()
    try:
        systemctl("start", unit)
    except RuntimeError as error:
        said = log(unit, begun)
        systemctl("reset-failed", unit)  # the deploy says so, and the next command is another
        raise Failed(said) from error
    return log(unit, begun)
