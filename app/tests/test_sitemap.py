"""robots.txt, favicon.ico and the sitemaps."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from conftest import MakeListing
from flask import Flask
from flask.testing import FlaskClient

from harbour.extensions import cache
from harbour.models import Status


def addresses(client: FlaskClient, path: str) -> list[str]:
    response = client.get(path)
    assert response.status_code == 200
    assert response.mimetype == "application/xml"
    tree = ElementTree.fromstring(response.data)  # noqa: S314 (own output)
    return [element.text for element in tree.iter() if element.tag.endswith("}loc")]


def test_sitemap_lists_every_public_page(app: Flask, client: FlaskClient, make_listing: MakeListing) -> None:
    with app.app_context():
        cache.clear()
    published = [make_listing().id for _ in range(3)]
    hidden = make_listing(status=Status.PENDING).id
    distant = make_listing(id=12_500).id
    files = addresses(client, "/sitemap.xml")
    assert len(files) == 4  # the pages, and three ranges of numbers
    urls = []
    for file in files:
        path = file.removeprefix("http://localhost")
        if path != "/sitemap/listings-1.xml":  # an empty range
            urls += addresses(client, path)
    for number in (*published, distant):
        assert f"http://localhost/listings/{number}" in urls
    assert f"http://localhost/listings/{hidden}" not in urls
    assert client.get("/sitemap/listings-1.xml").status_code == 404
    for address in urls:
        assert client.get(address.removeprefix("http://localhost")).status_code == 200, address


def test_cached_sitemap_depends_on_host(client: FlaskClient, make_listing: MakeListing) -> None:
    make_listing()
    client.get("/sitemap/listings-0.xml", headers={"Host": "evil.example"})
    assert "evil" not in client.get("/sitemap/listings-0.xml").text


def test_robots_txt_names_sitemap_and_excludes_admin(client: FlaskClient) -> None:
    response = client.get("/robots.txt")
    assert response.mimetype == "text/plain"
    assert "Sitemap: http://localhost/sitemap.xml" in response.text
    assert re.search(r"^Disallow: /admin/$", response.text, re.MULTILINE)


def test_favicon_ico_is_served(client: FlaskClient) -> None:
    with client.get("/favicon.ico") as response:
        assert response.data.startswith(b"\0\0\1\0")
        assert response.mimetype in {"image/vnd.microsoft.icon", "image/x-icon"}
