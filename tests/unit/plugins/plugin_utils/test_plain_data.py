"""Conversion of Ansible's values to plain data."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.decanter.stack.plugins.plugin_utils.plain_data import Unreadable, plain
from jinja2 import Undefined


class Failing(dict):
    """A lazy dictionary. The template of the key `bad` fails."""

    def __getitem__(self, key: str) -> Any:
        if key == "bad":
            raise KeyError(key)
        return super().__getitem__(key)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({1: ("a", None)}, {"1": ["a", None]}),
        (Failing(bad=1, good=2), {"bad": Unreadable("a value that cannot be read"), "good": 2}),
        ([Undefined()], [Unreadable("an undefined variable")]),
        (b"x", Unreadable("a value of another type")),
    ],
)
def test_plain_value_is_converted(value: Any, expected: Any) -> None:
    assert plain(lambda: value) == expected


def test_plain_key_function_gets_the_depth() -> None:
    got = plain(lambda: {True: {True: 1}}, lambda key, depth: f"{key}{depth}")
    assert got == {"True0": {"True1": 1}}


def test_plain_data_that_contains_itself_ends() -> None:
    value: list[Any] = []
    value.append(value)
    found = plain(lambda: value)
    while isinstance(found, list):
        (found,) = found
    assert found == Unreadable("data that is nested too deeply")
