"""What a page weighs over the wire, and how many requests it takes, at the first visit."""

from __future__ import annotations

import gzip
import re

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner

MOST_BYTES = 60_000  # before photos
MOST_REQUESTS = 12
COMPRESSED = ("text/", "image/svg", "application/json")


def weight(client: FlaskClient, path: str) -> int:
    """Return how many bytes travel, where a web server compresses what that helps."""
    answer = client.get(path, buffered=True)
    assert answer.status_code == 200, path
    if answer.mimetype.startswith(COMPRESSED):
        return len(gzip.compress(answer.data, 5))
    return len(answer.data)


def parts(page: str) -> set[str]:
    """Return what a browser fetches with a page: one icon of several, and no lazy pictures."""
    images = re.findall(r"<img [^>]*>", page)
    eager = [image for image in images if 'loading="lazy"' not in image]
    found = {re.search(r'src="(.*?)"', image)[1] for image in eager}
    found |= set(re.findall(r'<link rel="stylesheet" href="(.*?)"', page))
    found |= set(re.findall(r'<script src="(.*?)"', page))
    found |= set(re.findall(r'<link rel="icon" type="image/svg\+xml" href="(.*?)"', page))
    return found


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/listings/", "/listings/?view=table", "/listings/1", "/submit", "/contact"),
        *("/resources", "/quiz/", "/weather/", "/admin/login"),
        *("/neighbourhoods/", "/neighbourhoods/over-time", "/neighbourhoods/compare"),
    ],
)
def test_pages_are_light(app: Flask, client: FlaskClient, runner: FlaskCliRunner, path: str) -> None:
    runner.invoke(args=["listings", "load-samples"])
    if path.endswith("/1"):
        path = re.search(r'href="(/listings/\d+)"', client.get("/").text)[1]
    page = client.get(path).text
    fetched = [path, *sorted(parts(page))]
    bytes_ = {one: weight(client, one) for one in fetched}
    assert len(fetched) <= MOST_REQUESTS, fetched
    assert sum(bytes_.values()) <= MOST_BYTES, bytes_
    assert app.static_url_path == "/static"
    for one in parts(page):
        assert one.startswith(("/static/", "/photos/")), f"expected nothing from elsewhere, {one}"
    # The picture for other sites' previews is fetched by them alone.
    assert not [one for one in fetched if "og." in one]
