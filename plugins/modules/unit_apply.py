"""Apply the configuration on disk to a systemd unit."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.decanter.stack.plugins.module_utils import staging
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
  - Starts and enables a unit, and reloads or restarts it if its configuration files or its unit files have
    changed since it read them.
  - Replaces handlers. A handler is notified once and is lost if the run ends before it. This module compares
    times, so that the next run completes an interrupted one.
options:
  name: {description: The unit's whole name., type: str, required: true}
  reads: {description: Files and folders that the unit reads., type: list, elements: path, default: []}
  reload: {description: Whether a reload makes the unit read them again., type: bool, default: false}
  enabled: {description: Whether the unit starts at boot., type: bool, default: true}
  test: {description: A command that validates the configuration before the unit reads it., type: str}
  restore:
    description:
      - A folder that M(decanter.stack.files) exchanged (its option C(staged)). If the action fails, the
        previous content of the folder is restored and applied.
    type: path
"""
RETURN = r"""
action: {description: "The change: none, start, reload or restart.", type: str, returned: always}
running: {description: Whether the unit runs; check mode starts none., type: bool, returned: always}
because: {description: The reason of the action., type: str, returned: if the unit was changed}
"""


def plan(unit: dict[str, str], name: str, reads: list[str], reload: bool) -> tuple[str, str]:
    """Return the action for the unit, and its reason."""
    if unit["ActiveState"] not in ("active", "activating", "reloading"):
        return "start", f"it was {unit['ActiveState']}"
    started = timestamp_seconds(unit["ActiveEnterTimestamp"])
    changed, path = newest(own_files(name, unit))
    # A restart of a slice would stop all units in it. daemon-reload has applied its limits.
    if changed > started and not name.endswith(".slice"):
        return "restart", f"{path} has changed"
    # The end of the last reload is the last change of the unit's state.
    read = timestamp_seconds(unit["StateChangeTimestamp"]) if reload else started
    changed, path = newest(reads)
    if changed > read:
        return ("reload" if reload else "restart"), f"{path} has changed"
    return "none", ""


def restored(name: str, action: str, folder: str | None) -> str:
    """Apply the previous content of a folder. Return a sentence for the message, or an empty string."""
    if not folder or not staging.restore(Path(folder)):
        return ""
    try:
        systemctl(action, name)
    except SystemdError as error:
        return f"\n{folder} has its previous content again, but the {action} failed again: {error.output}"
    return f"\n{folder} has its previous content again, and {name} runs with it."


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "reads": {"type": "list", "elements": "path", "default": []},
            "reload": {"type": "bool", "default": False},
            "enabled": {"type": "bool", "default": True},
            "test": {"type": "str"},
            "restore": {"type": "path"},
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
        if module.check_mode:  # the package with the unit is not installed yet
            module.exit_json(changed=True, action="start", because="it does not exist yet", running=False)
        module.fail_json(msg=f"{name}: found the unit {unit['LoadState']}, expected loaded")

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
                msg=f"{name}: the new configuration is invalid. The unit was not changed.\n{err or out}"
            )
    if enable:
        systemctl("enable" if enabled else "disable", name)
    if action in ("start", "restart"):
        # NeedDaemonReload ignores a drop-in in a new folder.
        systemctl("daemon-reload")
    if action != "none":
        start_time = time.time()
        try:
            systemctl(action, name)
        except SystemdError as error:
            text = f"{name}: the {action} failed: {error.output}\n{log(name, start_time)}"
            module.fail_json(msg=text + restored(name, action, module.params["restore"]), **result)
    if module.params["restore"]:
        staging.confirm(Path(module.params["restore"]))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
