"""Filters that validate the dictionary `aws` and add its defaults.

plugins/schema/aws.yml describes each key; this file adds rules that a schema cannot express. The schema is
loaded on first use, because most runs do not need it.
"""

from __future__ import annotations

import difflib
import functools
import ipaddress
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.module_utils.common.yaml import yaml_load
from ansible.template import accept_args_markers, accept_lazy_markers
from ansible_collections.decanter.stack.plugins.module_utils.shared.addresses import is_example
from ansible_collections.decanter.stack.plugins.plugin_utils.plain_data import Unreadable, plain
from ansible_collections.decanter.stack.plugins.plugin_utils.platforms import platforms

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator, ValidationError

LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"  # RFC 1123
HOST_NAME = re.compile(rf"(?=.{{1,253}}$)({LABEL}\.)+(?![0-9]+$){LABEL}")
# The prefix of all names at AWS; the name of a load balancer has at most 32 characters.
ENVIRONMENT = re.compile(r"[a-z][a-z0-9-]{0,13}[a-z0-9]")
PLACEHOLDER = re.compile(r"changeme|replace_me|(^|[.@])example(\.(com|org|net))?$", re.IGNORECASE)
TYPES = {"integer": "an integer", "boolean": "true or false", "array": "a list", "object": "a dictionary"}
LONGEST_FOUND = 60

Steps = tuple[Any, ...]


@functools.cache
def schema() -> Mapping[str, Any]:
    """Return plugins/schema/aws.yml with the images of the supported distribution releases."""
    content = yaml_load((Path(__file__).parents[1] / "schema/aws.yml").read_text("utf-8"))
    content["properties"]["image"]["enum"] = [each["aws"]["image"] for each in platforms().values()]
    return content


def line(steps: Steps, value: Any = None, found: str = "", expected: str = "") -> str:
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return f"aws{path}: found {found or shown(value)}, expected {expected or wanted(at(steps))}"


def at(steps: Steps) -> Mapping[str, Any]:
    node = schema()
    for step in steps:
        node = node.get("properties", {}).get(step) or node.get("items") or {}
    return node


def wanted(node: Mapping[str, Any]) -> str:
    if "expected" in node:
        return node["expected"]
    if "enum" in node:
        return f"one of: {', '.join(node['enum'])}"
    if "minimum" in node:
        return f"an integer from {node['minimum']} to {node['maximum']}"
    return TYPES[node["type"]]


def shown(value: Any) -> str:
    if isinstance(value, Unreadable):
        return value.found
    if value is None:
        return "nothing"
    if isinstance(value, dict | list):
        kind = "dictionary" if isinstance(value, dict) else "list"
        return f"a {kind}" if value else f"an empty {kind}"
    if isinstance(value, str) and len(value) > LONGEST_FOUND:
        value = value[: LONGEST_FOUND - 1] + "…"
    text = json.dumps(value, ensure_ascii=False)
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


# --- Errors of the schema ----------------------------------------------------------------------


def is_named_network(text: Any) -> bool:
    """Return whether an IPv4 network is a /8 or smaller, and not one of those for documentation."""
    network = ipaddress.IPv4Network(text)
    return network.prefixlen >= 8 and not is_example(network)


def is_private_network(text: Any) -> bool:
    """Return whether a network is private (RFC 1918) and has sixteen subnets of at least 256 addresses."""
    network = ipaddress.IPv4Network(text)
    return network.is_private and 16 <= network.prefixlen <= 20


@functools.cache
def validator() -> Draft202012Validator:
    from jsonschema import Draft202012Validator, FormatChecker, ValidationError, validators

    def pattern(_: Any, expected: str, value: Any, __: Any) -> Iterator[ValidationError]:
        # In Python, $ also matches before a final newline, and \w matches letters of any script.
        if isinstance(value, str) and not re.fullmatch(expected, value, re.ASCII):
            yield ValidationError("does not match")

    def text(check: Callable[[str], Any]) -> Callable[[Any], bool]:
        return lambda value: not isinstance(value, str) or bool(check(value))

    formats = FormatChecker(formats=())
    formats.checks("named-network", raises=ValueError)(text(is_named_network))
    formats.checks("private-network", raises=ValueError)(text(is_private_network))
    formats.checks("host-name")(text(HOST_NAME.fullmatch))
    # JSON Schema accepts 30.0 as an integer.
    integers = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)
    strict = validators.extend(Draft202012Validator, {"pattern": pattern}, type_checker=integers)
    return strict(schema(), format_checker=formats)


def schema_lines(error: ValidationError) -> Iterator[str]:
    steps = tuple(error.absolute_path)
    value: Any = error.instance
    node: Any = error.schema
    if error.validator == "required":
        yield from (line((*steps, key)) for key in node["required"] if key not in value)
    elif error.validator == "additionalProperties":
        known = sorted(node["properties"])
        for key in value.keys() - set(known):
            near = difflib.get_close_matches(key, known, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            yield line((*steps, key), found="an unknown key", expected=f"one of: {', '.join(known)}{hint}")
    else:
        yield line(steps, value)


# --- Rules that a schema cannot express --------------------------------------------------------


def size_lines(settings: Mapping[str, Any], steps: Steps = ()) -> Iterator[str]:
    """Yield an error for each key that the chosen size does not have."""
    size = settings["size"]
    node = settings if not steps else settings.get(steps[0], {})
    for key in node if isinstance(node, dict) else ():
        sizes = at((*steps, key)).get("sizes", [size])
        if size not in sizes:
            expected = f"no {key} with size {size} (only with {' and '.join(sizes)})"
            yield line((*steps, key), node[key], expected=expected)
        elif not steps:
            yield from size_lines(settings, (key,))


def part(settings: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    return settings[key] if isinstance(settings.get(key), dict) else {}


def other_lines(settings: Mapping[str, Any]) -> Iterator[str]:
    dns, web = part(settings, "dns"), part(settings, "web")
    zone, found = dns.get("zone"), dns.get("names")
    names = found if isinstance(found, list) else []
    for index, name in enumerate(names):
        if isinstance(zone, str) and isinstance(name, str) and not f".{name}".endswith(f".{zone}"):
            yield line(("dns", "names", index), name, expected=f"{zone} or a name below it")
        if name in names[:index]:
            yield line(("dns", "names", index), name, expected="a name that is not given twice")
    if settings.get("size") == "scaled" and "dns" not in settings:
        yield line(("dns",), expected="zone and names, to validate the load balancer's certificate")
    if settings.get("size") == "scaled":
        if "health" not in web:
            yield line(("web", "health"), expected="the site of the load balancer's health checks")
        least, most = web.get("minimum", 2), web.get("maximum", 4)
        if isinstance(least, int) and isinstance(most, int) and least > most:
            yield line(("web", "maximum"), most, expected=f"at least the minimum, {least}")


def placeholder_lines(value: Any, steps: Steps = ()) -> Iterator[str]:
    if isinstance(value, str) and PLACEHOLDER.search(value):
        yield line(steps, found=f"the placeholder {shown(value)}", expected="your own value")
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, item in items:
        yield from placeholder_lines(item, (*steps, step))


# --- The filters -------------------------------------------------------------------------------


@accept_args_markers
@accept_lazy_markers
def aws_errors(aws: Any, environment: Any) -> list[str]:
    """Return one line for each error in `aws`; never raise. `environment` is the inventory's folder."""
    settings, name = plain(lambda: aws), plain(lambda: environment)
    lines = {text for error in validator().iter_errors(settings) for text in schema_lines(error)}
    if not isinstance(name, str) or not ENVIRONMENT.fullmatch(name):
        expected = "a folder of inventories/ with 2 to 15 lower-case letters, digits and hyphens"
        lines.add(f"ENV: found {shown(name)}, expected {expected}")
    if isinstance(settings, dict):
        lines.update(other_lines(settings), placeholder_lines(settings))
        if settings.get("size") in at(("size",))["enum"]:
            lines.update(size_lines(settings))
    return sorted(lines)


def aws_with_defaults(aws: Any) -> dict[str, Any]:
    """Return a copy of a valid `aws` with the defaults of its size at every depth."""
    size = aws["size"]

    def filled(value: Any, node: Mapping[str, Any]) -> Any:
        if node["type"] != "object":
            return value
        known = {key: sub for key, sub in node["properties"].items() if size in sub.get("sizes", [size])}
        items = {key: sub["default"] for key, sub in known.items() if "default" in sub} | dict(value)
        return {key: filled(item, known[key]) for key, item in items.items()}

    return filled(aws, schema())


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"aws_errors": aws_errors, "aws_with_defaults": aws_with_defaults}
