"""Print lines to the operator, although ansible.cfg hides the results of tasks that change nothing."""

from __future__ import annotations

from ansible import constants
from ansible.plugins.action import ActionBase

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
                # Display.warning would be shown with the task's result, which is hidden.
                color = constants.config.get_config_value("COLOR_WARN")
                self._display.display(f"[WARNING]: {line}", color=color, stderr=True)
            else:
                self._display.display(line)
        return {"changed": False}
