"""Print lines for the operator. ansible.cfg hides the results of tasks without changes."""

from __future__ import annotations

from ansible.plugins.action import ActionBase
from ansible_collections.decanter.stack.plugins.plugin_utils.display import warn

ARGUMENTS = {
    "lines": {"type": "list", "elements": "str", "required": True},
    "level": {"type": "str", "choices": ["info", "warning"], "default": "info"},
}


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(ARGUMENTS)
        for line in arguments["lines"]:
            if arguments["level"] == "warning":
                warn(self._display, line)
            else:
                self._display.display(line)
        return {"changed": False}
