"""What search engines and browsers ask for by a fixed address."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from conftest import MakeListing
from flask import Flask
from flask.testing import FlaskClient

from harbour.extensions import cache
from harbour.models import Status


def addresses(client: FlaskClient, path: str) -> list[str]:
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.mimetype == "application/xml"
    tree = ElementTree.fromstring(answer.data)  # noqa: S314 (ours)
    return [element.text for element in tree.iter() if element.tag.endswith("}loc")]


def test_the_sitemap_leads_to_every_public_page(
    app: Flask, client: FlaskClient, make_listing: MakeListing
) -> None:
    with app.app_context():
        cache.clear()
    shown = [make_listing().id for _ in range(3)]
    hidden = make_listing(status=Status.PENDING).id
    far = make_listing(id=12_500).id
    files = addresses(client, "/sitemap.xml")
    assert len(files) == 4  # the pages, and three chunks of numbers
    found = []
    for file in files:
        path = file.removeprefix("http://localhost")
        if path != "/sitemap/listings-1.xml":  # nobody has these numbers
            found += addresses(client, path)
    for number in (*shown, far):
        assert f"http://localhost/listings/{number}" in found
    assert f"http://localhost/listings/{hidden}" not in found
    assert client.get("/sitemap/listings-1.xml").status_code == 404
    for address in found:
        assert client.get(address.removeprefix("http://localhost")).status_code == 200, address


def test_each_name_of_the_site_has_its_own(client: FlaskClient, make_listing: MakeListing) -> None:
    make_listing()
    client.get("/sitemap/listings-0.xml", headers={"Host": "evil.example"})
    assert "evil" not in client.get("/sitemap/listings-0.xml").text


def test_robots_find_the_sitemap_and_leave_moderators_alone(client: FlaskClient) -> None:
    answer = client.get("/robots.txt")
    assert answer.mimetype == "text/plain"
    assert "Sitemap: http://localhost/sitemap.xml" in answer.text
    assert re.search(r"^Disallow: /admin/$", answer.text, re.MULTILINE)


def test_the_icon_is_at_its_old_address(client: FlaskClient) -> None:
    with client.get("/favicon.ico") as answer:
        assert answer.data.startswith(b"\0\0\1\0")
        assert answer.mimetype in {"image/vnd.microsoft.icon", "image/x-icon"}
