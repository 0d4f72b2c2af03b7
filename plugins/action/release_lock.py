"""Hold a site while its releases are changed, and tell who else does."""

from __future__ import annotations

import getpass
import os
import socket
from pathlib import Path

from ansible import constants as C
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase


def run_of(pid: int) -> str:
    """A process's number and when it started: numbers come again. Empty when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return str(pid) if not Path("/proc").is_dir() and _signalled(pid) else ""
    return f"{pid}.{fields[19]}"


def _signalled(pid: int) -> bool:
    """Whether a process is there, on a machine without /proc."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class ActionModule(ActionBase):
    """state: taken, or free. The process that counts is ansible-playbook's, whose child runs a task."""

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
                f"{site}: the {held['what']} of {held['since']} was cut off, and is done anew",
                color=C.config.get_config_value("COLOR_WARN"),
            )
            result = self._execute_module(
                "decanter.stack.release_lock", call | {"stale": held}, task_vars=task_vars
            )
            held = result.get("held")
        if held:
            raise AnsibleActionFail(
                f"{site}: {held['by']} has been at work on it since {held['since']} ({held['what']}). "
                f"Nothing was changed. When that run is gone for good: make unlock SITE={site}"
            )
        return result
