"""Parsing query strings into searches, and back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harbour.models import Kind
from harbour.search import MAX_BEDROOMS, MAX_PAGE, MAX_PRICE, MAX_TEXT, Search, Sort

NAMES = ("q", "kind", "min_price", "max_price", "bedrooms", "sort", "page")
VALUES = (
    st.text(st.characters())  # lone surrogates too
    | st.integers().map(str)
    | st.text("0123456789.,-+ $e", max_size=40)
    | st.text("9", min_size=4_000, max_size=6_000)  # more digits than int() accepts
    | st.sampled_from([choice.value for choices in (Kind, Sort) for choice in choices])
)
QUERIES = st.dictionaries(st.sampled_from(NAMES), VALUES)


@given(QUERIES)
def test_parse_clamps_any_query(query: dict[str, str]) -> None:
    search = Search.parse(query)
    assert len(search.text) <= MAX_TEXT
    search.text.encode()  # valid UTF-8, as databases require
    assert search.text == " ".join(search.text.split())
    for price in (search.min_price, search.max_price):
        assert price is None or 0 <= price <= MAX_PRICE
    if search.min_price is not None and search.max_price is not None:
        assert search.min_price <= search.max_price
    assert search.bedrooms is None or 1 <= search.bedrooms <= MAX_BEDROOMS
    assert 1 <= search.page <= MAX_PAGE
    str(search.select().order_by(*search.order()))


@given(QUERIES)
def test_parse_of_args_returns_same_search(query: dict[str, str]) -> None:
    search = Search.parse(query)
    assert Search.parse(search.args(search.page)) == search
    assert Search.parse(search.args()) == replace(search, page=1)


def test_parse_of_empty_query_is_default() -> None:
    assert Search.parse({}) == Search()
    assert Search().args() == {}
    assert not Search().is_filtered
    assert not Search(sort=Sort.DEAREST).is_filtered
    assert Search(min_price=0).is_filtered


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"q": "  old\n quay\x00 "}, Search(text="old quay")),
        ({"q": "x" * 200}, Search(text="x" * 80)),
        ({"kind": " FLAT "}, Search(kind=Kind.FLAT)),
        ({"kind": "castle"}, Search()),
        ({"min_price": "$250,000"}, Search(min_price=250_000)),
        ({"max_price": "250 000.75"}, Search(max_price=250_000)),
        ({"max_price": "0"}, Search(max_price=0)),
        ({"max_price": "-5"}, Search()),
        ({"max_price": "99999999999999999999"}, Search(max_price=MAX_PRICE)),
        ({"min_price": "9", "max_price": "5"}, Search(min_price=5, max_price=9)),
        ({"bedrooms": "+2"}, Search(bedrooms=2)),
        ({"bedrooms": "0"}, Search()),
        ({"bedrooms": "500"}, Search(bedrooms=MAX_BEDROOMS)),
        ({"sort": "-price"}, Search(sort=Sort.DEAREST)),
        ({"sort": "colour"}, Search()),
        ({"page": "3"}, Search(page=3)),
        ({"page": "0"}, Search()),
        ({"page": "two"}, Search()),
        ({"page": "1e999"}, Search()),
    ],
)
def test_parse_returns_search(query: dict[str, str], expected: Search) -> None:
    assert Search.parse(query) == expected
