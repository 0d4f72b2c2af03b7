"""The processes and timers of a site, which run next to the instance of a release.

Functions that take `wanted` read `processes`, `timers` and `units` of the resolved site.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from ansible_collections.decanter.stack.plugins.module_utils.shared.systemd import (
    show,
    systemctl,
    timestamp_seconds,
)
from ansible_collections.decanter.stack.plugins.module_utils.site import Site, Wanted
from ansible_collections.decanter.stack.plugins.module_utils.units import newest, own_files


def unit_reason(name: str, wanted: Wanted) -> str:
    """Return why a unit must be restarted, or an empty string."""
    unit = show(name)
    if unit["ActiveState"] != "active":
        return f"{name} was {unit['ActiveState']}"
    changed, path = newest([*own_files(name, unit), *wanted["units"]["reads"]])
    return f"{path} has changed" if changed > timestamp_seconds(unit["ActiveEnterTimestamp"]) else ""


def unit_names(site: Site, identifier: str, wanted: Wanted) -> list[str]:
    """Return the units of the processes and timers of a release."""
    kinds = {"service": wanted["processes"], "timer": wanted["timers"]}
    return [
        f"{site.name}.{name}@{identifier}.{kind}" for kind, named in kinds.items() for name in sorted(named)
    ]


def other_companions(site: Site, identifier: str, wanted: Wanted) -> list[str]:
    """Return running or enabled units of other releases, and those that the site no longer has."""
    pattern = f"{site.name}.*@*"
    lines = systemctl("list-units", "--all", "--plain", "--no-legend", pattern).splitlines()
    running = {
        fields[0] for fields in map(str.split, lines) if fields[2] in ("active", "activating", "failed")
    }
    enabled = {path.name for path in Path("/etc/systemd/system").glob(f"*.wants/{pattern}")}
    # A unit that a timer has started may end. The timer of the next release starts it again.
    kept = tuple(f"{site.name}.{name}@" for name in ("task", *wanted["timers"]))
    own = {*unit_names(site, identifier, wanted)}
    return sorted(
        name
        for name in (running | enabled) - own
        if name.endswith(".timer") or (name.endswith(".service") and not name.startswith(kept))
    )


def unreadable(site: Site, identifier: str, wanted: Wanted) -> str:
    """Return the error of systemd for an invalid process or timer, or an empty string."""
    names = unit_names(site, identifier, wanted)
    if any(show(name)["NeedDaemonReload"] == "yes" for name in names):
        systemctl("daemon-reload")
    for name in names:
        if show(name)["LoadState"] != "loaded":
            arguments = ["systemd-analyze", "verify", "--man=no", name]
            errors = subprocess.run(arguments, capture_output=True, text=True).stderr.strip().splitlines()
            return f"systemd rejects {name}: {errors[0] if errors else 'the unit does not exist'}"
    return ""


def move_companions(site: Site, identifier: str, wanted: Wanted) -> None:
    """Run the processes and timers of a release, and remove those of other releases."""
    if old := other_companions(site, identifier, wanted):
        # A unit that systemd cannot read does not run, and cannot be stopped.
        if running := [name for name in old if show(name)["ActiveState"] not in ("inactive", "failed")]:
            systemctl("stop", *running)
        systemctl("--quiet", "disable", *old)
        systemctl("reset-failed", *old, check=False)  # This fails for units that have not failed.
    own = unit_names(site, identifier, wanted)
    if stale := [name for name in own if unit_reason(name, wanted)]:
        systemctl("--quiet", "enable", *own)
        systemctl("restart", *stale)
    kept = {f"{name.split('@')[0]}@.{kind}" for name in own for kind in ("service", "timer")}
    for path in Path("/etc/systemd/system").glob(f"{site.name}.*@.*"):
        if path.name not in kept and not path.name.startswith(f"{site.name}.task@"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
