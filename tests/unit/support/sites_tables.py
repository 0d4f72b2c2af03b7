"""Tests of a subject of `sites`, made of tables of values."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible_collections.decanter.stack.plugins.filter import sites_check
from ansible_collections.decanter.stack.plugins.plugin_utils.plain_data import plain
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.structure import validator
from jsonschema import Draft7Validator, ValidationError, validators
from sites_examples import REMOVE, changed, minimal

from tools.editor_schema import variables_schema


def editor_pattern(_: Any, pattern: str, value: Any, __: Any) -> Iterator[ValidationError]:
    """Yield an error if a string does not match in JavaScript: $ is the end, \\d an ASCII digit."""
    tokens = re.compile(r"\\.|\[(?:\\.|[^\]])*\]|\$")
    python = tokens.sub(lambda token: r"\Z" if token[0] == "$" else token[0], pattern)
    if isinstance(value, str) and not re.search(python, value, re.ASCII):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


EDITOR = validators.extend(Draft7Validator, {"pattern": editor_pattern})(variables_schema())


def is_expressible(error: ValidationError) -> bool:
    """Return whether JSON Schema has the rule of an error. To JSON Schema, 30.0 is an integer."""
    return error.validator != "format" and not isinstance(error.instance, float)


def errors_of(dotted: str, value: Any, root: str) -> list[str]:
    """Return the errors of a minimal site with the value at a dotted path, or without the key for REMOVE."""
    sites = changed(minimal(), dotted, value if value is REMOVE else copy.deepcopy(value))
    return sites_check.site_errors(sites, root)


def rows(path: str, expected: str, *cases: Any, at: str = "") -> list[tuple[str, Any, str]]:
    """Return a row for each case: the path of the value, the value, and the line of its only error.

    The error is at `path`, such as `build[0]`. The value is set at `at`, a parent of `path`, if it is given.
    A case is the value, or a tuple of the value and what the error shows instead.
    """
    return [row(path, expected, case, at or path) for case in cases]


def row(path: str, expected: str, case: Any, at: str) -> tuple[str, Any, str]:
    value, found = case if isinstance(case, tuple) else (case, "")
    if not found:
        below = path.removeprefix(at).replace("[", ".").replace("]", "").split(".")[1:]
        invalid = value
        for step in below:
            invalid = invalid[int(step) if isinstance(invalid, list) else step]
        found = json.dumps(invalid, ensure_ascii=False)
    return at, value, f"sites.harbour.{path}: found {found}, expected {expected}"


def accepted(values: list[tuple[str, Any]]) -> Callable[..., None]:
    """Return a test that a site with each value is valid, also in an editor."""

    @pytest.mark.parametrize(("dotted", "value"), values)
    def test(dotted: str, value: Any, root: str) -> None:
        assert errors_of(dotted, value, root) == []
        marked = EDITOR.iter_errors({"sites": changed(minimal(), dotted, value)})
        assert [error.message for error in marked] == []

    return test


def rejected(invalid: list[tuple[str, Any, str]]) -> Callable[..., None]:
    """Return a test that a site with each value has the one error of its row, and that an editor marks it.

    The schema of editors cannot express rules that compare keys or read files.
    """

    @pytest.mark.parametrize(("dotted", "value", "line"), invalid, ids=[line for _, _, line in invalid])
    def test(dotted: str, value: Any, line: str, root: str) -> None:
        assert errors_of(dotted, value, root) == [line]
        sites = plain(lambda: changed(minimal(), dotted, value), sites_check.plain_key)
        if any(is_expressible(error) for error in validator().iter_errors(sites)):
            # A key of JSON is a string.
            marked = EDITOR.iter_errors({"sites": json.loads(json.dumps(sites, default=vars))})
            assert any(marked), f"expected an editor to mark {dotted}"

    return test
