"""Have a systemd unit run with the configuration that is on disk."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from datetime import datetime, timezone

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: unit_current
short_description: Have a systemd unit run with the configuration that is on disk
description:
  - Starts and enables a unit, and reloads or restarts it when a file that it reads, or one of its
    own unit files, has changed since it read them.
  - Takes the place of handlers. A handler is notified once; when the run ends before it is called,
    nobody calls it again. Here the state decides, so the next run does what was left undone.
options:
  name: {description: The unit's whole name., type: str, required: true}
  reads: {description: Files and folders that the unit reads when it starts., type: list, elements: path, default: []}
  reload: {description: Whether a reload makes the unit read them again., type: bool, default: false}
  enabled: {description: Whether the unit starts at boot., type: bool, default: true}
  test: {description: A command that checks the configuration before the unit is touched., type: str}
"""
RETURN = r"""
action: {description: What was done (none, start, reload or restart)., type: str, returned: always}
because: {description: Why., type: str, returned: when something was done}
"""

PROPERTIES = (
    "LoadState ActiveState UnitFileState NeedDaemonReload FragmentPath DropInPaths "
    "StateChangeTimestamp ActiveEnterTimestamp"
).split()


def seconds(timestamp: str) -> float:
    """Seconds since 1970 of systemd's `Sat 2026-11-21 03:27:43.123456 UTC`; 0 for an empty one."""
    if not timestamp:
        return 0.0
    moment = datetime.strptime(timestamp.split(" ", 1)[1], "%Y-%m-%d %H:%M:%S.%f UTC")
    return moment.replace(tzinfo=timezone.utc).timestamp()


def files(paths: list[str]) -> Iterator[str]:
    """The paths, and everything below those that are folders (a removed file changes its folder)."""
    for path in paths:
        yield path
        for folder, folders, names in os.walk(path, followlinks=True):
            yield from (os.path.join(folder, name) for name in folders + names)


def newest(paths: list[str]) -> tuple[float, str]:
    """When what is at the paths last changed, and where. Paths that do not exist are passed over."""
    # The inode's time, not the contents': `mv` and `cp -p` put old contents at a new time.
    changes = [(os.stat(path).st_ctime, path) for path in files(paths) if os.path.exists(path)]
    return max(changes, default=(0.0, ""))


def show(module: AnsibleModule, name: str) -> dict[str, str]:
    arguments = ["systemctl", "show", name, "--timestamp=us+utc", f"--property={','.join(PROPERTIES)}"]
    _, out, _ = module.run_command(arguments, check_rc=True)
    return dict(line.split("=", 1) for line in out.splitlines())


def plan(unit: dict[str, str], name: str, reads: list[str], reload: bool) -> tuple[str, str]:
    """What has to be done with the unit, and why."""
    if unit["ActiveState"] not in ("active", "activating", "reloading"):
        return "start", f"it was {unit['ActiveState']}"
    started = seconds(unit["ActiveEnterTimestamp"])
    own = [unit["FragmentPath"], *unit["DropInPaths"].split(), f"/etc/systemd/system/{name}.d"]
    changed, path = newest([file for file in own if file])
    if changed > started:
        return "restart", f"{path} has changed"
    # A reload that has ended is the last change of a unit's state.
    read = seconds(unit["StateChangeTimestamp"]) if reload else started
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

    unit = show(module, name)
    stale_manager = unit["NeedDaemonReload"] == "yes"
    if stale_manager and not module.check_mode:
        module.run_command(["systemctl", "daemon-reload"], check_rc=True)
        unit = show(module, name)
    if unit["LoadState"] != "loaded":
        if module.check_mode:  # the package that brings it is not installed yet
            module.exit_json(changed=True, action="start", because="it does not exist yet")
        module.fail_json(msg=f"{name}: found the unit {unit['LoadState']}, expected it to be loaded")

    action, because = plan(unit, name, module.params["reads"], module.params["reload"])
    enable = (unit["UnitFileState"] == "enabled") != enabled and unit["UnitFileState"] in ("enabled", "disabled")
    result = {
        "changed": stale_manager or enable or action != "none",
        "action": action,
        "because": because or "its unit file has changed" if stale_manager else because,
    }
    if module.check_mode:
        module.exit_json(**result)

    if action != "none" and module.params["test"]:
        code, out, err = module.run_command(shlex.split(module.params["test"]))
        if code != 0:
            module.fail_json(msg=f"{name} was left as it runs: its new configuration is refused.\n{err or out}")
    if enable:
        module.run_command(["systemctl", "enable" if enabled else "disable", name], check_rc=True)
    if action != "none":
        code, _, err = module.run_command(["systemctl", action, name])
        if code != 0:
            _, log, _ = module.run_command(["journalctl", "--unit", name, "--lines=15", "--no-pager", "--output=cat"])
            module.fail_json(msg=f"{name} did not {action}: {err.strip()}\n{log}", **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
