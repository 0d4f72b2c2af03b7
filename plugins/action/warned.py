"""Warn of something that stops nobody, although ansible.cfg has tasks that change nothing say nothing."""

from __future__ import annotations

from ansible import constants
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        for line in self._task.args["lines"]:
            # Not as a warning, which would wait for the task's result and be hidden with it.
            color = constants.config.get_config_value("COLOR_WARN")
            self._display.display(f"[WARNING]: {line}", color=color, stderr=True)
        return {"changed": False}
