"""Public pages of the listings."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from conftest import MakeListing
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harbour.models import Kind, Status


def titles(client: FlaskClient, **query: str) -> list[str]:
    """Return the titles in a search's results, in order."""
    response = client.get("/listings/", query_string=query)
    assert response.status_code == 200
    return re.findall(r'<h2><a href="/listings/\d+">(.*?)</a></h2>', response.text)


def links(page: str) -> dict[str, dict[str, list[str]]]:
    """Return the query arguments of the links to the previous and next page."""
    found = re.findall(r'<a class="button quiet" rel="(prev|next)" href="(.*?)">', page)
    return {rel: parse_qs(urlsplit(url.replace("&amp;", "&")).query) for rel, url in found}


def test_search_without_listings_shows_notice(client: FlaskClient) -> None:
    page = client.get("/listings/").text
    assert "No homes yet" in page
    assert "Clear the search" not in page


def test_search_finds_only_published_listings(client: FlaskClient, make_listing: MakeListing) -> None:
    make_listing(title="Public")
    make_listing(title="Secret", status=Status.PENDING)
    assert titles(client) == ["Public"]


@pytest.mark.parametrize("text", ["rope", "ROPEWALK", "lantern rope", "  Steps\tlantern ", "31"])
def test_search_text_matches_title_and_place(
    client: FlaskClient, make_listing: MakeListing, text: str
) -> None:
    make_listing(title="Lantern house", street="31 Long Steps", neighbourhood="Ropewalk")
    make_listing(title="Lantern flat", street="4 Quay", neighbourhood="Point")
    assert titles(client, q=text) == ["Lantern house"]


@pytest.mark.parametrize("character", ["%", "_", "/", "\\", "'", '"', "é", "🌊"])
def test_search_text_has_no_wildcards(client: FlaskClient, make_listing: MakeListing, character: str) -> None:
    make_listing(title=f"With 100{character} in it")
    make_listing(title="With 1000 in it")
    found = titles(client, q=f"100{character}")
    assert len(found) == 1
    assert "1000" not in found[0]


def test_search_filters_by_kind_price_and_bedrooms(client: FlaskClient, make_listing: MakeListing) -> None:
    make_listing(title="A", kind=Kind.FLAT, price=100, bedrooms=1)
    make_listing(title="B", kind=Kind.FLAT, price=200, bedrooms=3)
    make_listing(title="C", kind=Kind.PLOT, price=300, bedrooms=0)
    assert titles(client, kind="flat") == ["B", "A"]
    assert titles(client, min_price="200") == ["C", "B"]
    assert titles(client, max_price="200") == ["B", "A"]
    assert titles(client, min_price="150", max_price="$250") == ["B"]
    assert titles(client, bedrooms="2") == ["B"]
    assert titles(client, kind="flat", bedrooms="1", max_price="100") == ["A"]


def test_search_sorts_by_date_or_price(client: FlaskClient, make_listing: MakeListing) -> None:
    for title, price in (("A", 200), ("B", 100), ("C", 300), ("D", 100)):
        make_listing(title=title, price=price)
    assert titles(client) == ["D", "C", "B", "A"]
    assert titles(client, sort="newest") == ["D", "C", "B", "A"]
    assert titles(client, sort="price") == ["D", "B", "A", "C"]
    assert titles(client, sort="-price") == ["C", "A", "D", "B"]


def test_search_pages_keep_query_and_do_not_overlap(client: FlaskClient, make_listing: MakeListing) -> None:
    for number in range(26):
        make_listing(title=f"Flat {number}", kind=Kind.FLAT)
    make_listing(title="House")
    query = {"q": "flat", "kind": "flat", "sort": "price", "min_price": "1"}
    all_titles: list[str] = []
    for number, size, rels in (
        ("1", 12, {"next"}),
        ("2", 12, {"prev", "next"}),
        ("3", 2, {"prev"}),
    ):
        found = titles(client, **query, page=number)
        assert len(found) == size
        all_titles += found
        page = client.get("/listings/", query_string={**query, "page": number}).text
        assert f"Page {number} of 3" in page
        assert links(page).keys() == rels
        for rel, link in links(page).items():
            expected = int(number) + (1 if rel == "next" else -1)
            arguments = {name: [value] for name, value in query.items()}
            assert link == (arguments if expected == 1 else {**arguments, "page": [str(expected)]})
    assert len(set(all_titles)) == 26
    assert titles(client, **query, page="99") == all_titles[24:]
    assert titles(client, **query, page="-3") == all_titles[:12]


def test_search_form_contains_query(client: FlaskClient) -> None:
    query = {"q": '"><b>', "kind": "loft", "min_price": "5000", "bedrooms": "9", "sort": "-price"}
    page = client.get("/listings/", query_string=query).text
    assert 'value="&#34;&gt;&lt;b&gt;"' in page
    assert "<b>" not in page
    assert 'value="5,000"' in page
    for selected in ("loft", "9", "-price"):
        assert f'<option value="{selected}" selected>' in page
    assert "Nothing in the harbour matches" in page


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    query=st.dictionaries(
        st.sampled_from(["q", "kind", "min_price", "max_price", "bedrooms", "sort", "page", "x"]),
        st.text() | st.integers().map(str) | st.sampled_from(["flat", "price", "1e9", "NaN"]),
    )
)
def test_search_accepts_any_query(client: FlaskClient, query: dict[str, str]) -> None:
    assert client.get("/listings/", query_string=query).status_code == 200


def test_search_accepts_invalid_utf8(client: FlaskClient) -> None:
    assert client.get("/listings/?q=%ff%fe%00&kind=%c3&page=%f0").status_code == 200
    assert client.get("/listings/?q=%ed%a0%80").status_code == 200
    assert client.get("/listings/?page=1&page=2&q").status_code == 200


def test_listing_page_shows_details(client: FlaskClient, make_listing: MakeListing) -> None:
    listing = make_listing(
        title="Net loft <3",
        kind=Kind.LOFT,
        price=1_234_500,
        bedrooms=1,
        bathrooms=2,
        area_m2=1_500,
        description="First.\n\nSecond & last.",
    )
    response = client.get(f"/listings/{listing.id}")
    assert response.status_code == 200
    for text in (
        "<title>Net loft &lt;3 · Harbour homes</title>",
        "Sail loft",
        "$1,234,500",
        "<li>1 bedroom</li>",
        "<li>2 bathrooms</li>",
        "1,500 m²",
        "$823",
        "12 Slip Street, The Saltpans",
        "First.\n\nSecond &amp; last.",
        "Orla Byrne",
        "4 May 2025",
        listing.reference,
    ):
        assert text in response.text


def test_pages_do_not_contain_contact_address(client: FlaskClient, make_listing: MakeListing) -> None:
    listing = make_listing()
    for path in ("/", "/listings/", f"/listings/{listing.id}"):
        assert listing.contact_email not in client.get(path).text


def test_unpublished_listing_returns_404(client: FlaskClient, make_listing: MakeListing) -> None:
    pending = make_listing(status=Status.PENDING)
    for path in (
        pending.id,
        pending.id + 1,
        0,
        2**31 - 1,
        2**31,
        10**40,
        -1,
        "x",
        f"{pending.id}/",
    ):
        assert client.get(f"/listings/{path}").status_code == 404, path
