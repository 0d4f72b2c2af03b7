"""Warn of something that stops nobody; a filter's own warnings are lost where Mitogen runs it."""

from __future__ import annotations

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        return {"changed": False, "warnings": [str(line) for line in self._task.args["lines"]]}
