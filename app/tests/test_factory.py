"""The application as a whole: proxies, cookies, and what every page promises."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from conftest import MakeListing
from flask import Flask, request
from flask.testing import FlaskClient

FORWARDED = {
    "X-Forwarded-For": "203.0.113.7",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "homes.example.com",
}


class Page(HTMLParser):
    """Collects what a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, *names: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag in names]


@pytest.mark.parametrize(
    ("hops", "expected"),
    [(0, "127.0.0.1 http localhost"), (1, "203.0.113.7 https homes.example.com")],
)
def test_forwarded_headers_count_only_behind_a_proxy(
    fresh_app: Callable[..., Flask], hops: int, expected: str
) -> None:
    app = fresh_app(HARBOUR_PROXIES=hops)
    app.add_url_rule(
        "/who", "who", lambda: f"{request.remote_addr} {request.scheme} {request.host}"
    )
    assert app.test_client().get("/who", headers=FORWARDED).text == expected


def test_a_second_hop_is_not_believed(fresh_app: Callable[..., Flask]) -> None:
    app = fresh_app(HARBOUR_PROXIES=1)
    app.add_url_rule("/who", "who", lambda: request.remote_addr)
    headers = {"X-Forwarded-For": "198.51.100.1, 203.0.113.7"}
    assert app.test_client().get("/who", headers=headers).text == "203.0.113.7"


def test_only_the_form_sets_a_cookie(client: FlaskClient, make_listing: MakeListing) -> None:
    listing = make_listing()
    for path in ("/", "/listings/", f"/listings/{listing.id}", "/nowhere", "/healthz", "/readyz"):
        response = client.get(path)
        assert "Set-Cookie" not in response.headers, path
        assert "Cookie" not in response.headers.get("Vary", ""), path

    response = client.get("/submit")
    cookie = response.headers["Set-Cookie"]
    for attribute in ("session=", "HttpOnly", "SameSite=Lax", "Secure"):
        assert attribute in cookie
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/", "/listings/", "/listings/ID", "/submit", "/nowhere"])
def test_every_page_is_whole_and_strict(
    client: FlaskClient, make_listing: MakeListing, path: str
) -> None:
    page = Page(client.get(path.replace("ID", str(make_listing().id))).text)
    assert page.all("html") == [{"lang": "en"}]
    for once in ("title", "h1", "main", "footer"):
        assert len(page.all(once)) == 1, once
    descriptions = [meta for meta in page.all("meta") if meta.get("name") == "description"]
    assert len(descriptions) == 1
    assert descriptions[0]["content"]

    # A strict Content-Security-Policy has to allow every page as it is.
    assert not page.all("script", "style")
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name == "style" or name.startswith("on")], tag

    labelled = {label["for"] for label in page.all("label")}
    for control in page.all("input", "select", "textarea"):
        assert control.get("type") == "hidden" or control["id"] in labelled
    for image in page.all("img"):
        assert "alt" in image
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert page.all("a")[0] == {"class": "skip", "href": "#main"}


def test_the_town_is_escaped(fresh_app: Callable[..., Flask]) -> None:
    page = fresh_app(HARBOUR_TOWN="<b>St. John's").test_client().get("/nowhere").text
    assert "&lt;b&gt;St. John&#39;s" in page
