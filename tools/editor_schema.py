"""Convert the schema of `sites` to a JSON schema for editors, of a file with the variable `sites`."""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.schema import SCHEMA
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.structure import HOST_NAME

# Editors support draft 7 completely, and 2020-12 in part. The schema of `sites` has no keyword that differs.
DRAFT = "http://json-schema.org/draft-07/schema#"
# A Jinja expression or statement, or encrypted text of Ansible Vault. Its value is unknown to an editor.
TEMPLATE = r"\{[{%]|^\$ANSIBLE_VAULT;"
IPV4 = r"((25[0-5]|2[0-4]\d|1?\d?\d)(\.(?!$)|$)){4}"
# Formats that editors do not support, as patterns that accept every valid value.
FORMATS = {
    "server-name": rf"^(\*\.)?{HOST_NAME.pattern}$|^{IPV4}$|^[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*$",
    "network": r"^[0-9A-Fa-f:.]+(/\d+)?$",
    "wsgi": r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\([^\n]*\))?$",
    "calendar": r"^[\w*][\w*:,./ ~+-]*$",
}
KEPT = (
    *("type", "description", "default", "required", "not"),
    *("minimum", "maximum", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties"),
)
SCALARS = {"string", "integer", "boolean"}


def case_insensitive(pattern: str) -> str:
    """Return a pattern without groups `(?i:…)`, which JavaScript does not have."""
    while (start := pattern.find("(?i:")) >= 0:
        depth = 1
        end = start + len("(?i:")
        while depth:
            depth += {"(": 1, ")": -1}.get(pattern[end], 0)
            end += 1
        group = re.sub(r"[a-z]", lambda letter: f"[{letter[0]}{letter[0].upper()}]", pattern[start + 4 : end])
        pattern = f"{pattern[:start]}(?:{group}{pattern[end:]}"
    return pattern


def message(expected: str) -> str:
    return f"Expected {expected}."


def exclusions(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the values under `not` as patterns, because editors have no message of our own for `not`."""
    rules = [rule for rule in schema.get("allOf", []) if "not" in rule]
    return [
        {"pattern": f"^(?!{'|'.join(alternatives(rule['not']))})", "errorMessage": message(rule["expected"])}
        for rule in rules
    ]


def alternatives(schema: dict[str, Any]) -> list[str]:
    """Return one pattern for each choice of a schema of strings, which starts after `^`."""
    if "anyOf" in schema:
        return [pattern for choice in schema["anyOf"] for pattern in alternatives(choice)]
    if "pattern" in schema:
        return [schema["pattern"].removeprefix("^")]
    return [f"(?:{'|'.join(schema['enum'])})$"]


def name_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of the names of keys. Ansible does not template them."""
    names = {"enum": schema["enum"]} if "enum" in schema else {}
    if "pattern" in schema:
        names["pattern"] = case_insensitive(schema["pattern"])
    rules = exclusions(schema)
    return names | ({"allOf": rules} if rules else {}) | {"errorMessage": message(schema["expected"])}


def refused_key(rule: str | dict[str, str]) -> dict[str, Any]:
    """Return the schema of a rejected key. Editors without `errorMessage` show the constant."""
    words = f"Renamed to {rule['renamed']}." if isinstance(rule, dict) else message(rule)
    return {"const": words, "errorMessage": words, "doNotSuggest": True}


def string_rules(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the rules of a string as one pattern or a choice, which also permit a template."""
    patterns = [FORMATS[schema["format"]]] if "format" in schema else []
    patterns += [rule["pattern"] for rule in [schema, *schema.get("allOf", [])] if "pattern" in rule]
    if "minLength" in schema:
        patterns.append(rf"^[\s\S]{{{schema['minLength']},}}$")
    if "enum" in schema:
        return {"anyOf": [{"enum": schema["enum"]}, {"pattern": TEMPLATE}]}
    if not patterns:
        return {} if "string" in types(schema) else {"pattern": TEMPLATE}
    first, *others = map(case_insensitive, patterns)
    pattern = f"^(?={first})" + "".join(f"(?={other})" for other in others) if others else first
    return {"pattern": f"{pattern}|{TEMPLATE}"}


def types(schema: dict[str, Any]) -> list[str]:
    return schema["type"] if isinstance(schema["type"], list) else [schema["type"]]


def editor_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a value without our own keywords. A template may replace every value."""
    converted = {key: schema[key] for key in KEPT if key in schema}
    if "string" not in types(schema):
        converted["type"] = [*types(schema), "string"]
    converted |= string_rules(schema)
    if SCALARS.issuperset(types(schema)) and "expected" in schema:
        converted["errorMessage"] = message(schema["expected"])
    if "properties" in schema:
        properties = {key: editor_schema(value) for key, value in schema["properties"].items()}
        refused = {key: refused_key(rule) for key, rule in schema.get("refused", {}).items()}
        converted["properties"] = properties | refused
    if "additionalProperties" in schema:
        others = schema["additionalProperties"]
        converted["additionalProperties"] = others and editor_schema(others)
    if "propertyNames" in schema:
        converted["propertyNames"] = name_schema(schema["propertyNames"])
    if "items" in schema:
        converted["items"] = editor_schema(schema["items"])
    rules = exclusions(schema)
    return converted | ({"allOf": rules} if rules else {})


def variables_schema() -> dict[str, Any]:
    return {
        "$schema": DRAFT,
        "$comment": "Generated by `make docs` from plugins/schema/sites.",
        "title": "Variables of an inventory",
        "type": "object",
        "properties": {"sites": editor_schema(SCHEMA)},
    }
