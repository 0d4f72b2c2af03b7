"""Lock a site on the host against other runs."""

from __future__ import annotations

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.decanter.stack.plugins.module_utils.site import Site, now, read_json, write_json

DOCUMENTATION = r"""
module: release_lock
short_description: Lock a site on the host against other runs
description:
  - Called by the action of the same name, which identifies the run, and detects whether a run of the same
    controller that holds the lock has ended.
options:
  site: {description: The site's name., type: str, required: true}
  state:
    {description: Whether to take or to release the lock., type: str, choices: [taken, free], required: true}
  holder: {description: This run., type: dict, required: true}
  stale: {description: A run that held the lock and has ended., type: dict, default: {}}
  final:
    description: With C(free), whether all hosts keep the release that this run has activated.
    type: bool
    default: false
"""
RETURN = r"""
held: {description: The other run that holds the lock., type: dict, returned: always}
"""


def is_same(held: dict[str, str], holder: dict[str, str]) -> bool:
    """Return whether two locks belong to the same run."""
    return all(held.get(key) == holder[key] for key in ("machine", "run"))


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "site": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["taken", "free"], "required": True},
            "holder": {"type": "dict", "required": True},
            "stale": {"type": "dict", "default": {}},
            "final": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    site, holder, stale = Site(module.params["site"]), module.params["holder"], module.params["stale"]
    if module.check_mode:
        module.exit_json(changed=False, held={})
    if module.params["state"] == "free":
        # Another run may have taken the lock since.
        if is_same(read_json(site.lock), holder):
            if module.params["final"]:
                site.provisional.unlink(missing_ok=True)
            site.lock.unlink()
        module.exit_json(changed=False, held={})
    own = {**holder, "since": now()}
    if stale and read_json(site.lock) == stale:
        site.lock.unlink()
    new = site.lock.with_name(f".lock.{os.getpid()}")
    write_json(new, own)
    try:
        os.link(new, site.lock)  # atomic: fails if the file exists
    except FileExistsError:
        held = read_json(site.lock)
        module.exit_json(changed=False, held={} if is_same(held, holder) else held)
    finally:
        new.unlink()
    module.exit_json(changed=False, held={})


if __name__ == "__main__":
    main()
