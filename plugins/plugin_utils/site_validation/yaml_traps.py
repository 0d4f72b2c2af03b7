"""Values that YAML 1.1 or Ansible reads differently than the operator expects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.decanter.stack.plugins.plugin_utils.plain_data import Unreadable

BOOLEAN = "YAML reads yes, no, on and off without quotes as booleans"
NUMBER = "YAML reads 3.10 and 3.1 without quotes as the same number"
DATE = "YAML reads a date without quotes as a date, not as a string"
UNSAFE = "put !unsafe before a value that itself contains {{, {% or {#"
BLOCK = "the block scalars > and | leave a newline at the end, >- and |- do not"


def yaml_hint(value: Any, schema: Mapping[str, Any]) -> str:
    """Return words about the trap that explains a value's type, after a semicolon, or an empty string.

    The words do not contain the value, because it may be secret.
    """
    kinds = schema.get("type", "string")
    if "string" not in ([kinds] if isinstance(kinds, str) else kinds):
        return ""
    match value:
        case bool():
            return f"; {BOOLEAN}" if "boolean" not in kinds else ""
        case int() if schema.get("format") in ("calendar", "clock"):
            hour, minute = divmod(value if value < 24 * 60 else value // 60, 60)
            return f"; YAML reads {hour}:{minute:02} without quotes as the number {value}"
        case float():
            return f"; {NUMBER}"
        case Unreadable(found="a template that fails" | "an undefined variable"):
            return f"; {UNSAFE}"
        case Unreadable(found="a date"):
            return f"; {DATE}"
        case str() if value.endswith("\n") and value.count("\n") == 1:
            return f"; {BLOCK}"
    return ""
