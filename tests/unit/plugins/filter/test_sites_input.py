"""Input of any kind results in error lines: no exception, no secret."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible_collections.decanter.stack.plugins.filter import sites_check
from hypothesis import given
from hypothesis import strategies as st
from sites_examples import GIT, PEM_KEY, QUOTES, SECRET, changed, full, minimal
from sites_strategies import ANYTHING, KEYS_OF_ANY_TYPE


def test_recursive_sites_give_one_error_per_value(root: str) -> None:
    sites: dict[str, Any] = minimal()
    # Two references at each level: without a limit of the depth, the check would not end.
    sites["harbour"]["env"] = {"A": sites["harbour"], "B": sites["harbour"]}
    assert sites_check.site_errors(sites, root) == [
        f"sites.harbour.env.{name}: found a dictionary, expected {QUOTES}" for name in "AB"
    ]


Where = Callable[[Any], Any]
PLACES: dict[str, Where] = {
    "sites": lambda secret: secret,
    "a site": lambda secret: {"harbour": secret},
    "the secrets": lambda secret: changed(minimal(), "secrets", secret),
    "a secret": lambda secret: changed(minimal(), "secrets.A", secret),
    "the database": lambda secret: changed(minimal(), "database", secret),
    "the password": lambda secret: changed(minimal(), "database.password", secret),
    "the source": lambda secret: changed(minimal(), "source", secret),
    "the source's key": lambda secret: changed(minimal(), "source", {"git": GIT, "key": secret}),
    "a key with a path": lambda secret: changed(minimal(), "source.key", secret),
    "tls": lambda secret: changed(minimal(), "tls", secret),
    "the key": lambda secret: changed(minimal(), "tls", {"mode": "provided", "key": secret}),
    "a misspelt key": lambda secret: changed(minimal(), "secret", secret),
    "a key too deep": lambda secret: changed(minimal(), "database.passwords", secret),
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
@pytest.mark.parametrize(
    "secret",
    [
        *(SECRET, f"CHANGEME {SECRET}", f"a\n{SECRET}", f"{SECRET}.example.com", PEM_KEY),
        *([SECRET], {"a": SECRET}, {"a": {"b": f"CHANGEME {SECRET}"}}, [[SECRET], 5]),
        *(4815162342, 48.15162342),
    ],
)
def test_secret_in_any_place_is_never_printed(place: Where, secret: Any, root: str) -> None:
    text = "\n".join(sites_check.site_errors(place(secret), root))
    assert SECRET not in text
    assert "15162342" not in text


def assert_lines(lines: Any) -> None:
    assert isinstance(lines, list)
    for line in lines:
        assert type(line) is str
        assert len(line.splitlines()) == 1
        line.encode("utf-8")
        assert ": found " in line
        assert ", expected " in line
        assert len(line) < 800


@given(sites=ANYTHING, source_root=ANYTHING)
def test_any_input_gives_error_lines(sites: Any, source_root: Any) -> None:
    assert_lines(sites_check.site_errors(sites, source_root))


def places(value: Any, steps: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield steps
    if isinstance(value, dict | list):
        for step, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(item, (*steps, step))


@st.composite
def mutated_sites(draw: st.DrawFn) -> Any:
    """The full example with one to three of its values replaced, or keys added."""
    sites: Any = full()
    for _ in range(draw(st.integers(1, 3))):
        *parents, last = draw(st.sampled_from([p for p in places(sites) if p]))
        target = sites
        for step in parents:
            target = target[step]
        step = draw(KEYS_OF_ANY_TYPE) if isinstance(target, dict) and draw(st.booleans()) else last
        target[step] = draw(ANYTHING)
    return sites


@given(sites=mutated_sites())
def test_mutated_sites_give_error_lines(sites: Any, root: str) -> None:
    before = pickle.dumps(sites)
    assert_lines(sites_check.site_errors(sites, root))
    sites_check.with_defaults(sites)
    assert pickle.dumps(sites) == before


class Hostile(dict[str, Any]):
    """A dictionary with unreadable items, such as a lazy dictionary with failing templates."""

    def __getitem__(self, key: str) -> Any:
        raise RuntimeError(SECRET)


def test_unreadable_item_gives_one_error(root: str) -> None:
    sites = minimal()
    sites["harbour"]["env"] = Hostile(A="x", B="y")
    assert sites_check.site_errors(sites, root) == [
        f"sites.harbour.env.{name}: found a value that cannot be read, expected a string (put it in quotes)"
        for name in "AB"
    ]


class Text(str):
    """A subclass of str that cannot be compared."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        raise RuntimeError(SECRET)


class Number(int):
    """A subclass of int, as ansible-core tags numbers."""


def test_subclasses_of_plain_types_are_read_as_plain_types(root: str) -> None:
    sites = changed(minimal(), "migrate", Text("flask db upgrade"))
    assert sites_check.site_errors(changed(sites, "health.timeout", Number(30)), root) == []
    sites = changed(changed(minimal(), "env.A", Number(5)), "env.B", Text("x\ny"))
    assert sites_check.site_errors(sites, root) == [
        f"sites.harbour.env.A: found 5, expected {QUOTES}",
        'sites.harbour.env.B: found "x\\ny", '
        "expected a string on one line, without control characters except tabs",
    ]
