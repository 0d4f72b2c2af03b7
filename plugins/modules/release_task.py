"""Run a command once in the life of a site."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.site import Site, read_json, write_json
from ansible.module_utils.start_log import report
from ansible.module_utils.task import Failed, run

DOCUMENTATION = r"""
module: release_task
short_description: Run a command once in the life of a site
description:
  - Runs a command in a release, with its environment, as the site's user, in the site's own sandbox and
    with its credentials, by the unit C(SITE.task@ID). It goes on when the connection is lost.
  - A command that has ended well is never run again.
options:
  site: {description: The site's name., type: str, required: true}
  release: {description: The release's ID., type: str, required: true}
  command: {description: The command., type: str, required: true}
"""
RETURN = r"""
log: {description: What the command printed., type: str, returned: when it was run}
"""


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "site": {"type": "str", "required": True},
            "release": {"type": "str", "required": True},
            "command": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    site, identifier = Site(module.params["site"]), module.params["release"]
    command, notes = module.params["command"], Site(module.params["site"]).once
    if command in read_json(notes).get("tasks", []):
        module.exit_json(changed=False)
    if module.check_mode:
        module.exit_json(changed=True)
    with site.at_work():
        try:
            printed = run(site, identifier, command)
        except Failed as error:
            site.fail(identifier, f"`{command}` failed")
            output = report(str(error), str(site.release(identifier)))
            module.fail_json(msg=f"{site.name}: `{command}` failed in release {identifier}.\n{output}")
        write_json(notes, {"tasks": [*read_json(notes).get("tasks", []), command]})
    module.exit_json(changed=True, log=printed)


if __name__ == "__main__":
    main()
