"""Apply the configuration on disk to a systemd unit."""

from __future__ import annotations

import shlex
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.decanter.stack.plugins.module_utils.shared.systemd import (
    SystemdError,
    show,
    systemctl,
    timestamp_seconds,
)
from ansible_collections.decanter.stack.plugins.module_utils.units import log, newest, own_files

DOCUMENTATION = r"""
module: unit_apply
short_description: Apply the configuration on disk to a systemd unit
description:
  - Starts and enables a unit, and reloads or restarts it when a file that it reads, or one of its
    own unit files, has changed since it read them.
  - Takes the place of handlers. A handler is notified once; when the run ends before it is called,
    nobody calls it again. Here the state decides, so the next run does what was left undone.
options:
  name: {description: The unit's whole name., type: str, required: true}
  reads: {description: Files and folders that the unit reads., type: list, elements: path, default: []}
  reload: {description: Whether a reload makes the unit read them again., type: bool, default: false}
  enabled: {description: Whether the unit starts at boot., type: bool, default: true}
  test: {description: A command that checks the configuration before the unit is touched., type: str}
"""
RETURN = r"""
action: {description: What was done (none, start, reload or restart)., type: str, returned: always}
running: {description: Whether it runs now; a check starts nothing., type: bool, returned: always}
because: {description: Why., type: str, returned: when something was done}
"""


def plan(unit: dict[str, str], name: str, reads: list[str], reload: bool) -> tuple[str, str]:
    """What has to be done with the unit, and why."""
    if unit["ActiveState"] not in ("active", "activating", "reloading"):
        return "start", f"it was {unit['ActiveState']}"
    started = timestamp_seconds(unit["ActiveEnterTimestamp"])
    changed, path = newest(own_files(name, unit))
    if changed > started:
        return "restart", f"{path} has changed"
    # A reload that has ended is the last change of a unit's state.
    read = timestamp_seconds(unit["StateChangeTimestamp"]) if reload else started
    changed, path = newest(reads)
    if changed > read:
        return ("reload" if reload else "restart"), f"{path} has changed"
    return "none", ""


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "reads": {"type": "list", "elements": "path", "default": []},
            "reload": {"type": "bool", "default": False},
            "enabled": {"type": "bool", "default": True},
            "test": {"type": "str"},
        },
        supports_check_mode=True,
    )
    name, enabled = module.params["name"], module.params["enabled"]

    unit = show(name)
    stale_manager = unit["NeedDaemonReload"] == "yes"
    if stale_manager and not module.check_mode:
        systemctl("daemon-reload")
        unit = show(name)
    if unit["LoadState"] != "loaded":
        if module.check_mode:  # the package that brings it is not installed yet
            module.exit_json(changed=True, action="start", because="it does not exist yet", running=False)
        module.fail_json(msg=f"{name}: found the unit {unit['LoadState']}, expected it to be loaded")

    action, because = plan(unit, name, module.params["reads"], module.params["reload"])
    enable = (unit["UnitFileState"] == "enabled") != enabled and unit["UnitFileState"] in (
        "enabled",
        "disabled",
    )
    result: dict[str, Any] = {
        "changed": stale_manager or enable or action != "none",
        "action": action,
        "running": action != "start" or not module.check_mode,
        "because": because or "its unit file has changed" if stale_manager else because,
    }
    if module.check_mode:
        module.exit_json(**result)

    if action != "none" and module.params["test"]:
        code, out, err = module.run_command(shlex.split(module.params["test"]))
        if code != 0:
            module.fail_json(
                msg=f"{name} was left as it runs: its new configuration is refused.\n{err or out}"
            )
    if enable:
        systemctl("enable" if enabled else "disable", name)
    if action in ("start", "restart"):
        # NeedDaemonReload knows nothing of a drop-in whose folder is new, too.
        systemctl("daemon-reload")
    if action != "none":
        begun = time.time()
        try:
            systemctl(action, name)
        except SystemdError as error:
            module.fail_json(msg=f"{name} did not {action}: {error.output}\n{log(name, begun)}", **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
