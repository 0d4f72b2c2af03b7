"""Lock a site while a run changes its releases. Fail if another run has locked it."""

from __future__ import annotations

import getpass
import os
import socket
from pathlib import Path

from ansible import constants as C
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase


def run_of(pid: int) -> str:
    """Return the PID and start time of a process, because PIDs are reused; empty if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return str(pid) if not Path("/proc").is_dir() and _exists(pid) else ""
    return f"{pid}.{fields[19]}"


def _exists(pid: int) -> bool:
    """Return whether a process exists, on a machine without /proc."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class ActionModule(ActionBase):
    """`state` is taken or free. The lock belongs to ansible-playbook, the parent of a task's process."""

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        site, what = self._task.args["site"], self._task.args.get("what", "")
        machine = socket.gethostname()
        holder = {
            "by": f"{getpass.getuser()}@{machine}",
            "machine": machine,
            "run": run_of(os.getppid()),
            "what": what,
        }
        call = {"site": site, "state": self._task.args["state"], "holder": holder}
        call["final"] = self._task.args.get("final", False)
        result = self._execute_module("decanter.stack.release_lock", call, task_vars=task_vars)
        held = result.get("held")
        if held and held["machine"] == machine and run_of(int(held["run"].split(".")[0])) != held["run"]:
            self._display.display(
                f"{site}: the {held['what']} of {held['since']} was interrupted and is repeated",
                color=C.config.get_config_value("COLOR_WARN"),
            )
            result = self._execute_module(
                "decanter.stack.release_lock", call | {"stale": held}, task_vars=task_vars
            )
            held = result.get("held")
        if held:
            raise AnsibleActionFail(
                f"{site}: locked by {held['by']} since {held['since']} ({held['what']}). "
                f"Nothing was changed. If that run no longer exists: make unlock SITE={site}."
            )
        return result
