"""Run a command of a release on the host, once."""

from __future__ import annotations

import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.site import Site, read_json, write_file, write_json
from ansible.module_utils.units import log, show, systemctl

DOCUMENTATION = r"""
module: release_task
short_description: Run a command of a release, once
description:
  - Runs a command in a release, with its environment, as the site's user, in the site's own sandbox and
    with its credentials, by the unit C(SITE.task@ID). It goes on when the connection is lost.
  - A command that has ended well is not run again, in this release or, with O(scope=site), ever.
options:
  site: {description: The site., type: str, required: true}
  release: {description: The release's ID., type: str, required: true}
  command: {description: The command., type: str, required: true}
  scope: {description: What it is done once for., type: str, choices: [release, site], required: true}
"""
RETURN = r"""
log: {description: What the command printed., type: str, returned: when it was run}
"""


def wait_while_running(unit: str) -> None:
    """A run that lost its connection may have left the command at work: it is not run twice at once."""
    while show(unit)["ActiveState"] in ("activating", "deactivating"):
        time.sleep(0.2)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "site": {"type": "str", "required": True},
            "release": {"type": "str", "required": True},
            "command": {"type": "str", "required": True},
            "scope": {"type": "str", "choices": ["release", "site"], "required": True},
        },
        supports_check_mode=True,
    )
    site, identifier, command = (
        Site(module.params["site"]),
        module.params["release"],
        module.params["command"],
    )
    if module.params["scope"] == "release":
        notes: Path = site.releases / f"{identifier}.json"
    else:
        notes = site.root / "once.json"
    done = read_json(notes).get("tasks", [])
    if command in done:
        module.exit_json(changed=False)
    if module.check_mode:
        module.exit_json(changed=True)

    unit = f"{site.name}.task@{identifier}.service"
    wait_while_running(unit)
    escaped = command.replace("\\", "\\\\").replace('"', '\\"')
    write_file(Path(f"/run/decanter/{site.name}.task"), f'COMMAND="{escaped}"\n', 0o600)
    begun = time.time()
    try:
        systemctl("daemon-reload")  # its file may have changed since systemd read it
        systemctl("start", unit)
    except RuntimeError:
        module.fail_json(msg=f"{site.name}: `{command}` failed in release {identifier}:\n{log(unit, begun)}")
    write_json(notes, read_json(notes) | {"tasks": [*done, command]})
    module.exit_json(changed=True, log=log(unit, begun))


if __name__ == "__main__":
    main()
