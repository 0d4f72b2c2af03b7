"""Read the releases of a site, and the target of a rollback."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.decanter.stack.plugins.module_utils import companions
from ansible_collections.decanter.stack.plugins.module_utils.databases import schema
from ansible_collections.decanter.stack.plugins.module_utils.databases.engine import differences
from ansible_collections.decanter.stack.plugins.module_utils.shared.systemd import show
from ansible_collections.decanter.stack.plugins.module_utils.site import Site, read_json

DOCUMENTATION = r"""
module: release_info
short_description: Read the releases of a site, and the target of a rollback
description: [It changes nothing.]
options:
  site: {description: The site., type: dict, required: true}
  to: {description: The release to go back to; the last good one before the live one when empty., type: str}
"""
RETURN = r"""
releases: {description: What is known of each, oldest first., type: list, elements: dict, returned: always}
live: {description: The ID of the live one., type: str, returned: always}
pin: {description: What somebody went back to., type: dict, returned: always}
lock: {description: Who works on the site now., type: dict, returned: always}
closed: {description: Whether visitors are kept out., type: bool, returned: always}
units: {description: The state of each unit of the live one., type: dict, returned: always}
target: {description: The ID to go back to., type: str, returned: always}
fault: {description: Why one cannot go back; empty when one can., type: str, returned: always}
differences: {description: What has changed in the schema since the target., type: list, returned: always}
"""


def choose(site: Site, to: str | None) -> tuple[str, str]:
    """The release to go back to, and why there is none."""
    known = {record["id"]: record for record in site.records()}
    there = set(site.identifiers())
    current, pin = site.live_release(), read_json(site.pin)
    if to:
        if to not in known or (to not in there and known[to].get("state") != "failed"):
            names = ", ".join(sorted(there - {current})) or "none, there is no other"
            return "", f"found {to}, expected one of: {names}"
        if known[to].get("state") == "failed":
            return "", f"{to} has failed: {known[to].get('fault', '')}"
        return to, ""
    if pin and not pin.get("done"):
        return pin["release"], ""  # somebody was cut off on the way to it
    turns = sorted(
        (record["went_live"], identifier)
        for identifier, record in known.items()
        if identifier in there and record.get("state") == "good" and "went_live" in record
    )
    now = known.get(current, {}).get("went_live", "")
    good = [identifier for turn, identifier in turns if turn < now]
    return (good[-1], "") if good else ("", f"there is no good release before {current or 'the first'}")


def main() -> None:
    module = AnsibleModule(
        argument_spec={"site": {"type": "dict", "required": True}, "to": {"type": "str"}},
        supports_check_mode=True,
    )
    wanted = module.params["site"]
    site = Site(wanted["name"])
    current = site.live_release()
    target, fault = choose(site, module.params["to"])
    then = site.schema(target) if target else {}
    colour = site.live_colour()
    units = [site.unit(colour), *companions.unit_names(site, current, wanted)] if colour else []
    module.exit_json(
        changed=False,
        releases=site.records(),
        live=current,
        pin=read_json(site.pin),
        lock=read_json(site.lock),
        closed=site.closed.exists(),
        units={name: show(name)["ActiveState"] for name in units},
        target=target,
        fault=fault,
        differences=differences(then, schema(site.name, wanted["database"])) if then else [],
    )


if __name__ == "__main__":
    main()
