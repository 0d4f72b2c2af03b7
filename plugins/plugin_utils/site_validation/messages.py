"""The words of an error: the path of a value, what was found there, and what was expected."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.decanter.stack.plugins.plugin_utils.plain_data import Unreadable
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.schema import SCHEMA
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.values import URL_CREDENTIALS

Steps = tuple[Any, ...]

KEY = re.compile(r"[A-Za-z_][\w-]{0,59}", re.ASCII)
# YAML reads a key without a space after its colon as a part of a string.
TIGHT_KEY = re.compile(r"([a-z_]+):\S.*")
TYPES = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a dictionary",
}
MAX_FOUND_LENGTH = 60


def error_line(steps: Steps, value: Any = None, found: str = "", expected: str = "") -> str:
    """Return the line of an error at a path. Missing words come from the value and the schema."""
    schema, secret = schema_at(steps)
    key = TIGHT_KEY.fullmatch(value) if isinstance(value, str) and not found else None
    if key and key[1] in schema.get("properties", {}):
        found = f"the key {key[1]} without a space after its colon"
    found = found or found_words(value, secret)
    return f"{dotted_path(steps)}: found {found}, expected {expected or expected_words(schema)}"


def schema_at(steps: Steps) -> tuple[Mapping[str, Any], bool]:
    """Return the schema of a path, and whether a value there is secret."""
    node: Any = SCHEMA
    secret = False
    for step in steps:
        named = node.get("properties", {}).get(step)
        node = named or node.get("items") or node.get("additionalProperties")
        if not node:  # an unknown key may be a misspelt secret
            return {}, True
        secret = secret or node.get("secret", False)
    # A value in place of a dictionary may be the secret that belongs inside it.
    return node, secret or node["type"] == "object"


def dotted_path(steps: Steps, root: str = "sites") -> str:
    return root + "".join(
        f".{step}" if isinstance(step, str) and KEY.fullmatch(step) else f"[{shown(step)}]" for step in steps
    )


def shown(value: Any) -> str:
    """Return a scalar as the operator wrote it: shortened, on one line, in printable characters."""
    if isinstance(value, Unreadable):
        return value.found
    if isinstance(value, str) and len(value) > MAX_FOUND_LENGTH:
        value = value[: MAX_FOUND_LENGTH - 1] + "…"
    text = json.dumps(value, ensure_ascii=False)
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def found_words(value: Any, secret: bool) -> str:
    match value:
        case None:
            return "nothing"
        case dict() | list():
            kind = "dictionary" if isinstance(value, dict) else "list"
            return f"a {kind}" if value else f"an empty {kind}"
        case "":
            return "an empty string"
        # A certificate file may contain the key, and a URL a token.
        case str() if secret or "PRIVATE KEY" in value or URL_CREDENTIALS.search(value):
            return "a string"
        case bool() if secret:
            return "a boolean"
        case int() | float() if secret:
            return "a number"
    return shown(value)


def expected_words(schema: Mapping[str, Any]) -> str:
    if "expected" in schema:
        return schema["expected"]
    if "enum" in schema:
        return f"one of: {', '.join(map(str, schema['enum']))}"
    if "minimum" in schema:
        return f"an integer from {schema['minimum']} to {schema['maximum']}"
    return TYPES[schema["type"]]
