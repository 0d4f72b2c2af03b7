"""The front page."""

from __future__ import annotations

import re

from conftest import MakeListing
from flask.testing import FlaskClient

from harbour.models import Status


def test_home_shows_six_newest_listings(client: FlaskClient, make_listing: MakeListing) -> None:
    for number in range(8):
        make_listing(title=f"Home {number}")
    make_listing(title="Not yet", status=Status.PENDING)
    page = client.get("/").text
    assert re.findall(r">(Home \d|Not yet)</a>", page) == [f"Home {n}" for n in (7, 6, 5, 4, 3, 2)]


def test_home_has_search_form(client: FlaskClient) -> None:
    page = client.get("/").text
    assert 'action="/listings/"' in page
    assert 'name="q"' in page


def test_home_without_listings_shows_notice(client: FlaskClient) -> None:
    response = client.get("/")
    assert response.status_code == 200
    assert "No homes yet" in response.text
