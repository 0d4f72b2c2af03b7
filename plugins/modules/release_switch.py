"""Put a release of a site live without losing a request."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.decanter.stack.plugins.module_utils import companions, live, pruning, static_files
from ansible_collections.decanter.stack.plugins.module_utils.activation import (
    Refused,
    keep_instance,
    restore_pin,
    restore_provisional,
    switch,
    write_provisional,
)
from ansible_collections.decanter.stack.plugins.module_utils.databases import schema
from ansible_collections.decanter.stack.plugins.module_utils.failure import failure
from ansible_collections.decanter.stack.plugins.module_utils.site import (
    Site,
    Wanted,
    now,
    read_json,
    write_json,
)

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
  - Notes what was live before, which M(release_withdraw) returns to if the release fails on another host.
options:
  site: {description: The site., type: dict, required: true}
  release: {description: The release's ID., type: str, required: true}
  keep: {description: How many releases are kept., type: int, default: 5}
  pin: {description: Whether a converge stays on this release., type: bool, default: false}
  elsewhere:
    {description: Whether another host has run its migration and its C(setup)., type: bool, default: false}
"""
RETURN = r"""
live: {description: The release that is live., type: str, returned: always}
details: {description: The end of the log of a release that is not live., type: str, returned: on failure}
because: {description: Why the release was put live., type: str, returned: when it was}
"""


def note(site: Site, identifier: str, wanted: Wanted) -> None:
    """Note what another host has done for all of them: the database is one, and so is the site's life."""
    if "migrate" in wanted:
        if database := wanted["database"]:
            write_json(site.beside(identifier, "schema.json"), schema(site.name, database))
        site.amend_record(identifier, migrated=True)
    if wanted["setup"]:
        write_json(site.once, {"tasks": wanted["setup"]})


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
        if fault := companions.unreadable(site, identifier, wanted):
            module.fail_json(msg=f"{site.name}: {fault}. Still live is {before or 'nothing'}.", live=before)
        if module.params["elsewhere"]:
            note(site, identifier, wanted)
        reason = live.reason_to_switch(site, identifier, wanted)
        pinned, provisional = read_json(site.pin), write_provisional(site, identifier)
        if module.params["pin"]:
            # Before anything is done: who goes back again after a run that was cut off goes to the same.
            pin = {"release": identifier, "since": now(), "by": site.holder(), "done": False}
            write_json(site.pin, pin)
        static_files.publish(site, identifier, wanted["static"], check=False)
        if reason:
            try:
                switch(site, identifier, wanted)
            except Refused as refusal:
                site.fail(identifier, str(refusal).splitlines()[0])
                restore_pin(site, pinned)
                restore_provisional(site, provisional)
                told = failure(f"{site.name}, release {identifier}: {refusal}")
                module.fail_json(**told, live=site.live_release())
        else:
            companions.move_companions(site, identifier, wanted)
        keep_instance(site)
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
        pruning.prune(site, module.params["keep"])
        static_files.withdraw(site, wanted["static"])
    module.exit_json(changed=True, live=identifier, because=reason)


if __name__ == "__main__":
    main()
