"""Put a release of a site live without losing a request."""

from __future__ import annotations

import time

from ansible.module_utils import live
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.database import schema
from ansible.module_utils.site import Site, now, read_json, write_json
from ansible.module_utils.start_log import READ_LINES, report
from ansible.module_utils.units import log

DOCUMENTATION = r"""
module: release_switch
short_description: Put a release live without losing a request
description:
  - Starts the release as the instance that is idle, asks it for its health on its own socket, renames
    C(live.sock) onto that socket, moves the site's processes and timers, looks at it for a while, and lets
    the instance that was live drain and end.
  - nginx resolves C(live.sock) at every connection, so it needs no reload, and no request sees a moment
    without an instance.
  - A release that does not become healthy is stopped and marked; what was live stays live. One that
    becomes unhealthy after it went live gives way to what was live before, which still runs.
  - An instance that runs the right release with files that have changed since it started is replaced
    in the same way.
options:
  site: {description: The site., type: dict, required: true}
  release: {description: The release's ID., type: str, required: true}
  keep: {description: How many releases are kept., type: int, default: 5}
  pin: {description: Whether a converge stays on this release., type: bool, default: false}
  elsewhere:
    {description: Whether another host has run its migration and what runs once., type: bool, default: false}
"""
RETURN = r"""
live: {description: The release that is live., type: str, returned: always}
because: {description: Why the release was put live., type: str, returned: when it was}
"""


class Refused(Exception):
    """The release is not live; the message says why, what was done, and how the log ends."""


def switch(site: Site, identifier: str, wanted: live.Wanted) -> None:
    """Put a release live. Raises Refused; what was live before is live then."""
    old, begun = site.live_colour(), time.time()
    before, new = site.release_of(old) if old else "", live.idle(old)
    fault = live.start(site, new, identifier, wanted)
    if fault:
        live.stop(site, new)
        stays = f"Still live is {before}" if before else "Nothing is live"
        raise Refused(
            f"it did not go live, {fault}. {stays}.\n{log_report(site, site.unit(new), new, begun)}"
        )
    live.flip(site, new)
    live.move_companions(site, identifier, wanted)
    # The first of all has nothing to give way to.
    fault = live.watch(site, identifier, wanted, wanted["health"]["watch"] if before else 0)
    if not fault:
        return
    units = [name for name in live.companions(site, identifier, wanted) if fault.startswith(name)]
    output = log_report(site, units[-1] if units else site.unit(new), new, begun)
    if not before:
        raise Refused(f"{fault}. Nothing was live before, so it stays.\n{output}")
    live.flip(site, old)
    live.move_companions(site, before, wanted)
    live.drain(site, new)
    raise Refused(f"{fault}. {before} was put back.\n{output}")


def log_report(site: Site, unit: str, colour: str, since: float) -> str:
    """Return the remedy for what a unit logged since a time, and the end of its log."""
    return report(log(unit, since, READ_LINES), str(site.slot(colour)))


def note(site: Site, identifier: str, wanted: live.Wanted) -> None:
    """Note what another host has done for all of them: the database is one, and so is the site's life."""
    if "migrate" in wanted:
        if wanted["database"]:
            write_json(site.beside(identifier, "schema.json"), schema(site.name, wanted["database"]))
        site.amend_record(identifier, migrated=True)
    if wanted["once"]:
        write_json(site.once, {"tasks": wanted["once"]})


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "site": {"type": "dict", "required": True},
            "release": {"type": "str", "required": True},
            "keep": {"type": "int", "default": 5},
            "pin": {"type": "bool", "default": False},
            "elsewhere": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    wanted, identifier = module.params["site"], module.params["release"]
    site = Site(wanted["name"])
    if module.check_mode:
        module.exit_json(changed=True, live=identifier)

    with site.at_work():
        before = site.live_release()
        if fault := live.unreadable(site, identifier, wanted):
            module.fail_json(msg=f"{site.name}: {fault}. Still live is {before or 'nothing'}.")
        if module.params["elsewhere"]:
            note(site, identifier, wanted)
        reason = live.reason_to_switch(site, identifier, wanted)
        pinned = read_json(site.pin)
        if module.params["pin"]:
            # Before anything is done: who goes back again after a run that was cut off goes to the same.
            pin = {"release": identifier, "since": now(), "by": site.holder(), "done": False}
            write_json(site.pin, pin)
        live.publish(site, identifier, wanted["static"], check=False)
        if reason:
            try:
                switch(site, identifier, wanted)
            except Refused as refusal:
                site.fail(identifier, str(refusal).splitlines()[0])
                if pinned:
                    write_json(site.pin, pinned)
                else:
                    site.pin.unlink(missing_ok=True)
                module.fail_json(msg=f"{site.name}, release {identifier}: {refusal}")
        else:
            live.move_companions(site, identifier, wanted)
        colour = site.live_colour()
        live.remember(site, colour)
        live.drain(site, live.idle(colour))
        if before != identifier or site.record(identifier).get("state") != "good":
            # Who goes back and back again goes further each time: only a deploy counts as its turn.
            turn = site.record(identifier).get("went_live", "") if module.params["pin"] else ""
            site.amend_record(identifier, state="good", went_live=turn or now())
        if module.params["pin"]:
            write_json(site.pin, pin | {"done": True})
        else:
            site.pin.unlink(missing_ok=True)
        if reason:
            site.note("live", identifier, because=reason)
        live.prune(site, module.params["keep"])
        live.withdraw(site, wanted["static"])
    module.exit_json(changed=True, live=identifier, because=reason)


if __name__ == "__main__":
    main()
