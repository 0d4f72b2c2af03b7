"""Print warnings to the operator."""

from __future__ import annotations

from ansible import constants
from ansible.utils.display import Display


def warn(display: Display, line: str) -> None:
    """Print a warning at once.

    Display.warning would print it with the task's result, which ansible.cfg hides if nothing has changed.
    """
    color = constants.config.get_config_value("COLOR_WARN")
    display.display(f"[WARNING]: {line}", color=color, stderr=True)
