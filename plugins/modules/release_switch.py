"""Activate a release of a site without losing a request."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.decanter.stack.plugins.module_utils import (
    companions,
    live,
    pruning,
    settings,
    static_files,
)
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
short_description: Activate a release without losing a request
description:
  - Starts the release as the idle instance, checks its health on its own socket, replaces the symlink
    C(live.sock), moves the site's processes and timers, watches the release, and drains and stops the
    previous instance.
  - nginx resolves C(live.sock) at every connection, so it needs no reload, and one instance is always live.
  - A release that does not become healthy is stopped and marked as failed; the live one stays. If it becomes
    unhealthy while it is watched, the previous instance, which still runs, is activated again.
  - An instance of the right release is replaced in the same way if its files have changed since its start.
  - Archives the settings of the site after the activation, and restores the archive if a release fails.
  - Records the previous release, which M(release_withdraw) activates if the new one fails on another host.
options:
  site: {description: The site., type: dict, required: true}
  release: {description: The release's ID., type: str, required: true}
  keep: {description: The number of releases to keep., type: int, default: 5}
  pin: {description: Whether a converge keeps this release., type: bool, default: false}
  elsewhere:
    {description: Whether another host has run its migration and its C(setup)., type: bool, default: false}
"""
RETURN = r"""
live: {description: The release that is live., type: str, returned: always}
details: {description: The end of the log of a release that is not live., type: str, returned: on failure}
because: {description: Why the release was activated., type: str, returned: if it was activated}
"""


def note(site: Site, identifier: str, wanted: Wanted) -> None:
    """Record the migration and the setup commands that another host has run in the shared database."""
    if "migrate" in wanted:
        if database := wanted["database"]:
            write_json(site.sidecar(identifier, "schema.json"), schema(site.name, database))
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

    with site.exclusive():
        before = site.live_release()
        if fault := companions.unreadable(site, identifier, wanted):
            settings.restore(site)
            module.fail_json(msg=f"{site.name}: {fault}. Still live is {before or 'nothing'}.", live=before)
        if module.params["elsewhere"]:
            note(site, identifier, wanted)
        reason = live.reason_to_switch(site, identifier, wanted)
        pinned, provisional = read_json(site.pin), write_provisional(site, identifier)
        if module.params["pin"]:
            # Written first, so that a rollback after an interrupted one has the same target.
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
                result = failure(f"{site.name}, release {identifier}: {refusal}")
                module.fail_json(**result, live=site.live_release())
        else:
            companions.move_companions(site, identifier, wanted)
        keep_instance(site)
        settings.keep(site)
        if before != identifier or site.record(identifier).get("state") != "good":
            # A rollback keeps the time of the first activation, so that the next rollback goes further back.
            moment = site.record(identifier).get("went_live", "") if module.params["pin"] else ""
            site.amend_record(identifier, state="good", went_live=moment or now())
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
