"""Have packages installed, without waking apt where they are.

dpkg tells in a fiftieth of a second what is installed; ansible.builtin.apt reads all package lists to find
out that nothing is to be done. What is missing is installed by that module, which takes all other arguments.
"""

from __future__ import annotations

import shlex

from ansible.plugins.action import ActionBase

DEFAULTS = {
    "install_recommends": False,
    # Lists are fetched where there are none; else the timers of the distribution keep them.
    "cache_valid_time": 86400,
    "lock_timeout": 600,
    # Nothing is removed to make place: one database server would take the other's data with it.
    "fail_on_autoremove": True,
}


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        names = self._task.args["name"]
        query = ["dpkg-query", "--show", "--showformat=${db:Status-Status} ${Package}\\n", *names]
        # It fails where one of them is unknown, and tells of the others all the same.
        told = self._low_level_execute_command(shlex.join(query))["stdout_lines"]
        installed = {line.split()[1] for line in told if line.startswith("installed ")}
        missing = [name for name in names if name not in installed]
        if not missing:
            return {"changed": False}
        arguments = DEFAULTS | self._task.args | {"name": missing}
        return self._execute_module("ansible.builtin.apt", arguments, task_vars=task_vars)
