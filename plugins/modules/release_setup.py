"""Run the setup commands of a site."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.decanter.stack.plugins.module_utils import settings
from ansible_collections.decanter.stack.plugins.module_utils.failure import failure
from ansible_collections.decanter.stack.plugins.module_utils.site import Site, read_json, write_json
from ansible_collections.decanter.stack.plugins.module_utils.start_log import report
from ansible_collections.decanter.stack.plugins.module_utils.task import Failed, run

DOCUMENTATION = r"""
module: release_setup
short_description: Run the setup commands of a site, each once in its life
description:
  - Runs commands in a release, with its environment, as the site's user, in the site's own sandbox and
    with its credentials, by the unit C(SITE.task@ID). A command continues when the connection is lost.
  - A command that has succeeded is never run again. The first command that fails is the last one.
options:
  site: {description: The site's name., type: str, required: true}
  release: {description: The release's ID., type: str, required: true}
  commands: {description: The commands., type: list, elements: str, required: true}
"""
RETURN = r"""
log: {description: The output of the commands., type: str, returned: if a command was run}
"""


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "site": {"type": "str", "required": True},
            "release": {"type": "str", "required": True},
            "commands": {"type": "list", "elements": "str", "required": True},
        },
        supports_check_mode=True,
    )
    site, identifier = Site(module.params["site"]), module.params["release"]
    done = read_json(site.once).get("tasks", [])
    due = [command for command in module.params["commands"] if command not in done]
    if not due:
        module.exit_json(changed=False)
    if module.check_mode:
        module.exit_json(changed=True)
    outputs = []
    with site.exclusive():
        for command in due:
            try:
                outputs.append(run(site, identifier, command))
            except Failed as error:
                settings.restore(site)
                site.fail(identifier, f"`{command}` failed")
                output = report(str(error), str(site.release(identifier)))
                text = f"{site.name}: `{command}` failed in release {identifier}.\n{output}"
                module.fail_json(**failure(text))
            write_json(site.once, {"tasks": [*read_json(site.once).get("tasks", []), command]})
    module.exit_json(changed=True, log="\n".join(outputs))


if __name__ == "__main__":
    main()
