"""Note on the host who works on sites' releases, and tell the next who comes."""

from __future__ import annotations

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.decanter.stack.plugins.module_utils.site import Site, now, read_json, write_json

DOCUMENTATION = r"""
module: release_lock
short_description: Note on the host who works on a site's releases
description:
  - Through the action of the same name, which says who that is, and knows whether a run of this machine
    that holds the lock is still there.
options:
  site: {description: The site's name., type: str, required: true}
  state:
    {description: Whether to hold it or let go of it., type: str, choices: [taken, free], required: true}
  holder: {description: Who this is., type: dict, required: true}
  stale: {description: A holder who is known to be gone., type: dict, default: {}}
  final:
    description: With C(free), whether no host returns from the release that this run has activated.
    type: bool
    default: false
"""
RETURN = r"""
held: {description: Who else holds it., type: dict, returned: always}
"""


def is_same(held: dict[str, str], holder: dict[str, str]) -> bool:
    """Whether two notes are of one run."""
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
        # Not what another run has taken since.
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
        os.link(new, site.lock)  # fails where there is one: of two who come at once, one has it
    except FileExistsError:
        held = read_json(site.lock)
        module.exit_json(changed=False, held={} if is_same(held, holder) else held)
    finally:
        new.unlink()
    module.exit_json(changed=False, held={})


if __name__ == "__main__":
    main()
