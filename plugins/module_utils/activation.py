"""Activate a release of a site, and return to the release that was live before a run."""

from __future__ import annotations

import time

from ansible_collections.decanter.stack.plugins.module_utils import companions, live, settings
from ansible_collections.decanter.stack.plugins.module_utils.site import Site, Wanted, read_json, write_json
from ansible_collections.decanter.stack.plugins.module_utils.start_log import READ_LINES, report
from ansible_collections.decanter.stack.plugins.module_utils.units import log


class Refused(Exception):
    """The release is not live; the message has the reason, the result and the end of the log."""


def switch(site: Site, identifier: str, wanted: Wanted) -> None:
    """Activate a release. Raise Refused if it is unhealthy; then the previous release is live."""
    old, start_time = site.live_colour(), time.time()
    before, new = site.release_of(old) if old else "", live.idle(old)
    fault = live.start(site, new, identifier, wanted)
    if fault:
        live.stop(site, new)
        settings.restore(site)
        stays = f"Still live is {before}" if before else "Nothing is live"
        output = log_report(site, site.unit(new), new, start_time)
        raise Refused(f"it did not go live, {fault.rstrip('.')}. {stays}.\n{output}")
    live.flip(site, new)
    companions.move_companions(site, identifier, wanted)
    # Do not watch the first release, because no previous release exists.
    fault = live.watch(site, identifier, wanted, wanted["health"]["watch"] if before else 0)
    if not fault:
        return
    units = [name for name in companions.unit_names(site, identifier, wanted) if fault.startswith(name)]
    output = log_report(site, units[-1] if units else site.unit(new), new, start_time)
    if not before:
        raise Refused(f"{fault}. Nothing was live before, so it stays.\n{output}")
    live.flip(site, old)
    settings.restore(site)
    companions.move_companions(site, before, wanted)
    live.drain(site, new)
    raise Refused(f"{fault}. {before} was put back.\n{output}")


def log_report(site: Site, unit: str, colour: str, since: float) -> str:
    """Return the remedy for what a unit logged since a time, and the end of its log."""
    return report(log(unit, since, READ_LINES), str(site.slot(colour)))


def keep_instance(site: Site) -> None:
    """Start the live instance at boot, and drain the other one."""
    colour = site.live_colour()
    live.enable_at_boot(site, colour)
    live.drain(site, live.idle(colour))


def restore_pin(site: Site, pin: dict[str, object]) -> None:
    """Restore the pin from before a run, or remove the pin if the site had none."""
    if pin:
        write_json(site.pin, pin)
    else:
        site.pin.unlink(missing_ok=True)


def write_provisional(site: Site, identifier: str) -> dict[str, object]:
    """Record the release to return to if this one fails on another host; return the previous record.

    A note of a run that was killed keeps its `before`: no run has activated a later release on all hosts.
    """
    note = read_json(site.provisional)
    before = note if note else {"before": site.live_release(), "pin": read_json(site.pin)}
    write_json(site.provisional, {**before, "release": identifier})
    return note


def restore_provisional(site: Site, note: dict[str, object]) -> None:
    """Write the note as it was before the release failed on this host."""
    if note:
        write_json(site.provisional, note)
    else:
        site.provisional.unlink(missing_ok=True)
