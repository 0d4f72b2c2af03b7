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
description: [Changes nothing.]
options:
  site: {description: The site., type: dict, required: true}
  to: {description: The target; the last good release before the live one if empty., type: str}
"""
RETURN = r"""
releases: {description: The records, oldest first., type: list, elements: dict, returned: always}
live: {description: The ID of the live release., type: str, returned: always}
pin: {description: The pinned release of a rollback., type: dict, returned: always}
lock: {description: The lock of the run that changes the site., type: dict, returned: always}
closed: {description: Whether the site is in maintenance., type: bool, returned: always}
units: {description: The state of each unit of the live release., type: dict, returned: always}
target: {description: The ID of the rollback's target., type: str, returned: always}
fault: {description: Why a rollback is not possible; empty if it is., type: str, returned: always}
differences: {description: Changes of the schema since the target., type: list, returned: always}
"""


def choose(site: Site, to: str | None) -> tuple[str, str]:
    """Return the target of a rollback, or an empty string and the reason."""
    known = {record["id"]: record for record in site.records()}
    existing = set(site.identifiers())
    current, pin = site.live_release(), read_json(site.pin)
    if to:
        if to not in known or (to not in existing and known[to].get("state") != "failed"):
            names = ", ".join(sorted(existing - {current})) or "(no other release exists)"
            return "", f"found {to}, expected one of: {names}"
        if known[to].get("state") == "failed":
            return "", f"{to} has failed: {known[to].get('fault', '')}"
        return to, ""
    if pin and not pin.get("done"):
        return pin["release"], ""  # a rollback to it was interrupted
    activations = sorted(
        (record["went_live"], identifier)
        for identifier, record in known.items()
        if identifier in existing and record.get("state") == "good" and "went_live" in record
    )
    now = known.get(current, {}).get("went_live", "")
    good = [identifier for moment, identifier in activations if moment < now]
    return (good[-1], "") if good else ("", f"no good release exists before {current or 'the first'}")


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
