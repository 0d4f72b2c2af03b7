"""Run commands of a release as the site's user, with the unit SITE.task@ID."""

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
    """Run a command in a release, with its environment, sandbox and credentials; return its output.

    The command continues if the connection is lost. Wait for a command that still runs.
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
    start_time = time.time()
    try:
        systemctl("start", unit)
    except RuntimeError as error:
        output = log(unit, start_time)
        systemctl("reset-failed", unit)  # the next command uses the same unit
        raise Failed(output) from error
    return log(unit, start_time)
