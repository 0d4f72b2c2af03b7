"""Withdraw a release that failed on another host."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.decanter.stack.plugins.module_utils import static_files
from ansible_collections.decanter.stack.plugins.module_utils.activation import (
    Refused,
    keep_instance,
    restore_pin,
    switch,
)
from ansible_collections.decanter.stack.plugins.module_utils.failure import failure
from ansible_collections.decanter.stack.plugins.module_utils.site import Site, Wanted, read_json

DOCUMENTATION = r"""
module: release_withdraw
short_description: Withdraw a release that failed on another host
description:
  - Activates the release that was live before the run, as M(release_switch) would, and marks the withdrawn
    release as failed, so that all hosts of the site have one release and the next run creates a new one.
  - On a host where the release is not live, only marks it as failed.
  - Requires the record that M(release_switch) writes; M(release_lock) removes it when the run succeeds.
options:
  site: {description: The site., type: dict, required: true}
  release: {description: The ID of the release., type: str, required: true}
  fault: {description: Why it is withdrawn., type: str, required: true}
"""
RETURN = r"""
live: {description: The release that is live., type: str, returned: always}
returned: {description: Whether the release before it was activated., type: bool, returned: always}
kept: {description: Why the release stays live., type: str, returned: always}
"""


def return_to_before(site: Site, note: dict, wanted: Wanted) -> str:
    """Activate the release of the note. Return why that is impossible, or an empty string.

    Raises Refused if the release before does not become healthy; the withdrawn one is live then.
    """
    before, current = note["before"], site.live_release()
    if not before:
        return "nothing was live before"
    if before == current:
        return "it was live before, and its settings have changed"
    static_files.publish(site, before, wanted["static"], check=False)
    switch(site, before, wanted)
    keep_instance(site)
    static_files.withdraw(site, wanted["static"])
    return ""


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "site": {"type": "dict", "required": True},
            "release": {"type": "str", "required": True},
            "fault": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    wanted, fault = module.params["site"], module.params["fault"]
    site = Site(wanted["name"])
    note, before, kept = read_json(site.provisional), site.live_release(), ""
    if module.check_mode:
        module.exit_json(changed=bool(note), live=before, returned=False, kept="")
    with site.exclusive():
        if note and before == note["release"]:
            try:
                kept = return_to_before(site, note, wanted)
            except Refused as refusal:
                # The note stays, so that the next run tries again.
                result = failure(f"{site.name}: {note['before']} cannot be activated again: {refusal}")
                module.fail_json(**result, live=before)
        if note:
            restore_pin(site, note["pin"])
            site.provisional.unlink()
        for identifier in sorted(
            {module.params["release"], note.get("release", "")} - {"", site.live_release()}
        ):
            if site.record(identifier).get("state", "failed") != "failed":
                site.fail(identifier, fault)
    current = site.live_release()
    module.exit_json(changed=current != before, live=current, returned=current != before, kept=kept)


if __name__ == "__main__":
    main()
