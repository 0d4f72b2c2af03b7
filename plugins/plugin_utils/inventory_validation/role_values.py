"""Values of the roles' variables in the inventory.

The types and choices are those of the argument specs, which Ansible would validate on a host that earlier
roles have already changed. plugins/schema/variables.yml has further limits.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ansible.module_utils.common.yaml import yaml_load
from ansible_collections.decanter.stack.plugins.plugin_utils.inventory_validation.variables import (
    ROLES,
    Hostvars,
    Variables,
    first_host_lines,
)
from ansible_collections.decanter.stack.plugins.plugin_utils.plain_data import Unreadable, plain
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.messages import (
    dotted_path,
    expected_words,
    found_words,
    shown,
)
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.schema import FOLDER, Composition
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.structure import validator
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.yaml_traps import yaml_hint

if TYPE_CHECKING:
    from jsonschema import ValidationError

Schema = dict[str, Any]

LIMITS = FOLDER.parent / "variables.yml"
DERIVED = ROLES.parent / "playbooks/group_vars/all/roles.yml"
# Other modules of this folder validate these completely.
VALIDATED_ELSEWHERE = {
    *(
        "balancer_address",
        "balancer_kind",
        "balancer_networks",
        "balancer_target_groups",
        "balancer_tls_mode",
    ),
    *("base_mail", "nginx_challenge_successors"),
}
# Strict, because a role that calculates with a number fails on a string, which Ansible would accept.
TYPES = {
    "str": "string",
    "path": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "list": "array",
    "dict": "object",
}


@functools.cache
def schemas() -> dict[str, Schema]:
    """Return a schema for each variable that an inventory may set, by its name."""
    limits = Composition(FOLDER).resolve(yaml_load(LIMITS.read_text("utf-8")), LIMITS.name)
    left_out = VALIDATED_ELSEWHERE | yaml_load(DERIVED.read_text("utf-8")).keys()
    found: dict[str, Schema] = {}
    for path in sorted(ROLES.glob("*/meta/argument_specs.yml")):
        for spec in yaml_load(path.read_text("utf-8"))["argument_specs"].values():
            for name, option in spec.get("options", {}).items():
                if name not in left_out:
                    found.setdefault(name, merged(option_schema(option), limits.get(name, {})))
    return found


def option_schema(option: Mapping[str, Any]) -> Schema:
    """Return the schema of an option of an argument spec."""
    schema: Schema = {}
    if kind := TYPES.get(option.get("type", "str")):
        schema["type"] = kind
    if "choices" in option:
        schema["enum"] = option["choices"]
    if elements := option.get("elements"):
        schema["items"] = option_schema({**option, "type": elements, "elements": None})
        schema.pop("enum", None)  # the choices of a list are those of its elements
    elif "options" in option:
        parts = option["options"]
        schema["properties"] = {name: option_schema(part) for name, part in parts.items()}
        schema["required"] = [name for name, part in parts.items() if part.get("required")]
        schema["additionalProperties"] = False
    return schema


def merged(schema: Schema, limits: Schema) -> Schema:
    """Return a schema with limits added at every depth."""
    result = dict(schema)
    for key, value in limits.items():
        nested = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if nested else value
    return result


def is_unresolved(value: Any) -> bool:
    """Return whether a value depends on facts, or cannot be read yet. The role validates it."""
    return isinstance(value, Unreadable) and value.found not in ("a date", "a huge number")


def error_lines(name: str, schema: Schema, value: Any) -> Iterator[str]:
    for error in validator().evolve(schema=schema).iter_errors(value):
        yield from value_lines(name, error)


def value_lines(name: str, error: ValidationError) -> Iterator[str]:
    steps = tuple(error.absolute_path)
    value: Any = error.instance
    schema: Any = error.schema
    path = dotted_path(steps, name)
    secret = schema.get("secret", False) or any("password" in str(step) for step in (name, *steps))
    if is_unresolved(value):
        return
    if error.validator == "required":
        for key in sorted(set(schema["required"]) - value.keys()):
            yield f"{path}.{key}: found nothing, expected {expected_words(schema['properties'][key])}"
    elif error.validator == "additionalProperties":
        for key in sorted(map(str, value.keys() - schema["properties"].keys())):
            expected = f"one of: {', '.join(sorted(schema['properties']))}"
            yield f"{path}.{key}: found an unknown key, expected {expected}"
    elif "propertyNames" in error.schema_path:
        yield f"{path}: found the name {shown(value)}, expected {expected_words(schema)}"
    else:
        hint = yaml_hint(value, schema) or string_hint(name, value, schema)
        expected = str(error.cause or expected_words(schema)) + hint
        yield f"{path}: found {found_words(value, secret)}, expected {expected}"


def string_hint(name: str, value: Any, schema: Schema) -> str:
    """Return words about the origin of a number or a boolean that is a string, or an empty string."""
    if schema.get("type") not in ("integer", "number", "boolean") or not isinstance(value, str):
        return ""
    try:
        json.loads(value)
    except ValueError:
        return ""
    option = json.dumps({name: value}).replace(f'"{value}"', value)
    return f"; without quotes, or with -e '{option}', because -e NAME=VALUE makes a string"


def variable_lines(variables: Variables) -> Iterator[str]:
    for name in sorted(schemas().keys() & {str(name) for name in variables}):
        value = plain(functools.partial(variables.__getitem__, name))
        if not is_unresolved(value):
            yield from error_lines(name, schemas()[name], value)


def role_value_errors(hostvars: Hostvars, hosts: Iterable[str]) -> Iterator[str]:
    """Yield one line for each error, whatever the number of hosts that have it."""
    return first_host_lines(hostvars, hosts, variable_lines)
