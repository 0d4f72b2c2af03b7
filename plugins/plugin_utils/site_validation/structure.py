"""Validate `sites` against its schema."""

from __future__ import annotations

import datetime
import difflib
import functools
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.decanter.stack.plugins.module_utils.shared.addresses import parse_network
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.calendars import (
    is_calendar,
    is_time_zone,
    occurs,
)
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.cron import from_cron
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.messages import (
    error_line,
    expected_words,
    shown,
)
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.schema import SCHEMA
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.values import server_address
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.wsgi import is_wsgi
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.yaml_traps import (
    BOOLEAN,
    yaml_hint,
)

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator, ValidationError

LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"  # RFC 1123
HOST_NAME = re.compile(rf"(?=.{{1,253}}$)({LABEL}\.)+(?![0-9]+$){LABEL}")


def is_server_name(name: Any) -> bool:
    """Return whether a string is a host name or an address.

    For some errors, raise ValueError with the expected value.
    """
    if not isinstance(name, str) or HOST_NAME.fullmatch(name.removeprefix("*.")):
        return True
    if address := server_address(name):
        if name != str(address):  # clients send the canonical form (RFC 5952), and nginx compares strings
            raise ValueError(f"the address in its canonical form, {shown(str(address))}")
        return True
    if "*" in name:
        raise ValueError("a wildcard as its whole first label and nowhere else, as in *.example.com")
    if not name.isascii():
        raise ValueError("the name in its ASCII form, which is written xn--…")
    if HOST_NAME.fullmatch(name.lower()):
        raise ValueError(f"the name in lower case, {shown(name.lower())}")
    if re.fullmatch(LABEL, name) and not name.isdigit():
        reason = "because browsers and CAs treat a name without a dot as a local name"
        raise ValueError(f"a full host name such as {name}.myproject.org, {reason}")
    return False


def is_network(text: Any) -> bool:
    return not isinstance(text, str) or bool(parse_network(text))


def is_timer_calendar(text: Any) -> bool:
    """Return whether systemd accepts a calendar.

    For some errors, raise ValueError with the expected value.
    """
    if not isinstance(text, str):
        return True
    if not is_calendar(text):
        if calendar := from_cron(text):
            raise ValueError(f"{shown(calendar)}, the same times in the syntax of systemd")
        return False
    if not occurs(text, datetime.datetime.now(datetime.UTC).date()):
        raise ValueError("a time in the future; this one never occurs")
    return True


@functools.cache
def validator() -> Draft202012Validator:
    """Return a validator that is stricter than JSON Schema."""
    # Only one task validates. The import takes 70 ms, which all other processes save.
    from jsonschema import Draft202012Validator, FormatChecker, ValidationError, validators

    def pattern(_: Any, expected: str, value: Any, __: Any) -> Iterator[ValidationError]:
        # By default Python lets $ match before a final newline and \w match any script.
        if isinstance(value, str) and not re.fullmatch(expected, value, re.ASCII):
            yield ValidationError("does not match")

    formats = FormatChecker(formats=())
    formats.checks("server-name", raises=ValueError)(is_server_name)
    formats.checks("network")(is_network)
    formats.checks("time-zone")(lambda name: not isinstance(name, str) or name == "UTC" or is_time_zone(name))
    formats.checks("wsgi", raises=ValueError)(is_wsgi)
    formats.checks("calendar", raises=ValueError)(is_timer_calendar)
    # JSON Schema accepts 30.0 as an integer, but templates would write it as 30.0.
    integers = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, v: type(v) is int)
    strict = validators.extend(Draft202012Validator, {"pattern": pattern}, type_checker=integers)
    return strict(SCHEMA, format_checker=formats)


def refusal(rule: str | Mapping[str, str]) -> dict[str, str]:
    """Return the words of an error for a key under `refused` of the schema."""
    if isinstance(rule, str):
        return {"found": "a setting that Decanter sets", "expected": rule}
    return {"found": "a key that was renamed", "expected": rule["renamed"]}


def error_lines(error: ValidationError) -> Iterator[str]:
    steps = tuple(error.absolute_path)
    value: Any = error.instance
    schema: Any = error.schema
    if error.validator == "required":
        yield from (error_line((*steps, key)) for key in schema["required"] if key not in value)
    elif error.validator == "additionalProperties":
        yield from key_lines(steps, value, schema)
    elif "propertyNames" in error.schema_path:
        found, hint = f"the name {shown(value)}", f"; {BOOLEAN}" if isinstance(value, bool) else ""
        yield error_line((*steps, value), found=found, expected=expected_words(schema) + hint)
    elif error.validator == "maxProperties":
        yield error_line(steps, found=f"{len(value)} entries")
    else:
        expected = str(error.cause or expected_words(schema)) + yaml_hint(value, schema)
        yield error_line(steps, value, expected=expected)


def key_lines(steps: tuple[Any, ...], value: dict[Any, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield one line for each key that the schema does not have."""
    known = sorted(schema["properties"])
    refused = schema.get("refused", {})
    for key in value.keys() & refused.keys():
        yield error_line((*steps, key), **refusal(refused[key]))
    for key in value.keys() - set(known) - refused.keys():
        near = difflib.get_close_matches(str(key), known, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        expected = f"one of: {', '.join(known)}{hint}"
        yield error_line((*steps, key), found="an unknown key", expected=expected)


def structure_errors(sites: Any) -> Iterator[str]:
    """Yield one line for each place where `sites` does not match its schema."""
    for error in validator().iter_errors(sites):
        yield from error_lines(error)
