"""The complete application: proxies, cookies, caching and markup of all pages."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from conftest import MakeListing
from flask import Flask, request, session
from flask.testing import FlaskClient

from harbour.extensions import db

FORWARDED = {
    "X-Forwarded-For": "203.0.113.7",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "homes.example.com",
}

# Pages without a form.
VIEWS = (
    "/",
    "/listings/",
    "/listings/?view=table",
    "/resources",
    "/neighbourhoods/",
    "/neighbourhoods/over-time",
    "/neighbourhoods/compare",
    "/quiz/archive",
    "/weather/",
)
# All responses that a shared cache may store.
PAGES = (
    *VIEWS,
    "/neighbourhoods/figures.csv",
    "/quiz/titles.json",
    "/api/v1/listings",
    "/api/v1/openapi.json",
    "/robots.txt",
    "/favicon.ico",
    "/sitemap.xml",
    "/sitemap/pages.xml",
    "/sitemap/listings-0.xml",
)
# Pages with a CSRF token.
FORMS = ("/submit", "/contact", "/quiz/", "/admin/login")


class Page(HTMLParser):
    """The elements of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.drawing = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "svg":
            self.drawing = "svg "
        # Titles inside of SVG are not page titles.
        self.tags.append((f"{self.drawing if tag == 'title' else ''}{tag}", dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag == "svg":
            self.drawing = ""

    def all(self, *names: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag in names]


@pytest.mark.parametrize(
    ("hops", "expected"),
    [(0, "127.0.0.1 http localhost"), (1, "203.0.113.7 https homes.example.com")],
)
def test_forwarded_headers_are_trusted_behind_proxy_only(
    fresh_app: Callable[..., Flask], hops: int, expected: str
) -> None:
    app = fresh_app(HARBOUR_PROXIES=hops)
    app.add_url_rule("/client", "client", lambda: f"{request.remote_addr} {request.scheme} {request.host}")
    assert app.test_client().get("/client", headers=FORWARDED).text == expected


def test_forwarded_headers_of_second_hop_are_ignored(fresh_app: Callable[..., Flask]) -> None:
    app = fresh_app(HARBOUR_PROXIES=1)
    app.add_url_rule("/client", "client", lambda: request.remote_addr)
    headers = {"X-Forwarded-For": "198.51.100.1, 203.0.113.7"}
    assert app.test_client().get("/client", headers=headers).text == "203.0.113.7"


def test_only_forms_set_cookies(client: FlaskClient, make_listing: MakeListing) -> None:
    listing = make_listing()
    for path in (*PAGES, f"/listings/{listing.id}", "/nowhere", "/healthz", "/readyz"):
        response = client.get(path, buffered=True)
        assert "Set-Cookie" not in response.headers, path
        assert "Cookie" not in response.headers.get("Vary", ""), path

    for path in FORMS:
        response = client.application.test_client().get(path)
        cookie = response.headers["Set-Cookie"]
        for attribute in ("__Host-session=", "HttpOnly", "SameSite=Lax", "Secure", "Path=/"):
            assert attribute in cookie, path
        assert "Domain" not in cookie
        assert response.headers["Cache-Control"] == "private, no-store", path


@pytest.mark.parametrize("path", PAGES)
def test_public_page_is_cacheable(client: FlaskClient, path: str) -> None:
    for response in (client.get(path), client.head(path)):
        assert response.status_code == 200
        assert re.match(r"public, max-age=\d+$", response.headers["Cache-Control"]), path
        response.close()


def test_private_response_is_not_cacheable(client: FlaskClient) -> None:
    for response in (
        client.post("/submit"),
        client.post("/listings/"),
        client.get("/admin/"),
        client.get("/submit/thanks"),
        client.get("/contact?listing=1"),
        client.open("/nowhere", method="BREW"),
    ):
        assert response.headers["Cache-Control"] == "private, no-store", response.request.path
    assert client.get("/nowhere").headers["Cache-Control"] == "public, max-age=1"


def test_response_with_session_access_is_not_cacheable(fresh_app: Callable[..., Flask]) -> None:
    app = fresh_app()
    app.add_url_rule("/greet", "greet", lambda: session.get("name", "stranger"))
    app.add_url_rule("/plain", "plain", lambda: "everybody")
    client = app.test_client()
    assert client.get("/greet").headers["Cache-Control"] == "private, no-store"
    assert client.get("/plain").headers["Cache-Control"] == "public, max-age=1"


def test_public_page_is_identical_with_session(client: FlaskClient) -> None:
    before = client.get("/listings/")
    client.get("/submit")
    after = client.get("/listings/")
    assert after.data == before.data
    assert "Set-Cookie" not in after.headers
    assert after.headers["Cache-Control"] == "public, max-age=1"


@pytest.mark.parametrize("path", [*PAGES, *FORMS, "/nowhere", "/healthz", "/admin/"])
def test_every_response_has_strict_csp(client: FlaskClient, path: str) -> None:
    with client.get(path) as response:
        policy = response.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; ")
        for unsafe in ("unsafe", "data:", "http", "*", "nonce"):
            assert unsafe not in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert len(response.headers.getlist("Cross-Origin-Resource-Policy")) == 1


# --- Trailing slashes --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status", "location"),
    [
        # Route with a slash: the path without it redirects.
        ("/listings/", 200, None),
        ("/listings", 308, "/listings/"),
        ("/listings?q=quay", 308, "/listings/?q=quay"),
        # Route without a slash: the path with it does not exist.
        ("/submit", 200, None),
        ("/submit/", 404, None),
        ("/contact/", 404, None),
        # strict_slashes=False: both paths exist.
        ("/resources", 200, None),
        ("/resources/", 200, None),
    ],
)
def test_trailing_slash_redirects_or_returns_404(
    client: FlaskClient, path: str, status: int, location: str | None
) -> None:
    response = client.get(path)
    got = (response.status_code, (response.location or "").removeprefix("http://localhost") or None)
    assert got == (status, location), f"{path}: found {got}, expected {status} {location}"


def test_resources_have_one_canonical_url(client: FlaskClient) -> None:
    for path in ("/resources", "/resources/"):
        assert '<link rel="canonical" href="http://localhost/resources">' in client.get(path).text


@pytest.mark.parametrize(
    "path", [*VIEWS, *FORMS, "/listings/ID", "/contact/thanks", "/weather/digest", "/nowhere"]
)
def test_every_page_is_accessible_and_matches_csp(
    client: FlaskClient, make_listing: MakeListing, path: str
) -> None:
    response = client.get(path.replace("ID", str(make_listing().id)), follow_redirects=True)
    page = Page(response.text)
    assert page.all("html") == [{"lang": "en"}]
    for tag in ("title", "h1", "main", "footer"):
        assert len(page.all(tag)) == 1, tag
    descriptions = [meta for meta in page.all("meta") if meta.get("name") == "description"]
    assert len(descriptions) == 1
    assert descriptions[0]["content"]

    # The Content-Security-Policy forbids inline styles and scripts.
    assert not page.all("style")
    assert all("src" in script for script in page.all("script")), "a script is inline"
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


def test_town_is_escaped(fresh_app: Callable[..., Flask]) -> None:
    page = fresh_app(HARBOUR_TOWN="<b>St. John's").test_client().get("/nowhere").text
    assert "&lt;b&gt;St. John&#39;s" in page


# --- Redis -------------------------------------------------------------------------------------


def test_pages_are_served_while_redis_is_down(fresh_app: Callable[..., Flask]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    app = fresh_app(REDIS_URL=f"redis://127.0.0.1:{port}/0")
    with app.app_context():
        db.create_all()
    client = app.test_client()
    for path in (*PAGES, *FORMS):
        assert client.get(path, buffered=True).status_code == 200, path
    # Limits fall back to the worker's memory.
    key = re.search(r'name="csrf_token"[^>]*value="(.*?)"', client.get("/contact").text)[1]
    got = [client.post("/contact", data={"csrf_token": key}).status_code for _ in range(11)]
    assert got == [422] * 10 + [429]
