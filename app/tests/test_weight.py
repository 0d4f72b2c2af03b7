"""Transferred bytes and number of requests of a first visit."""

from __future__ import annotations

import gzip
import re

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner

MAX_BYTES = 60_000  # before photos
MAX_REQUESTS = 12
COMPRESSED = ("text/", "image/svg", "application/json")


def weight(client: FlaskClient, path: str) -> int:
    """Return the transferred bytes, with gzip as in nginx."""
    response = client.get(path, buffered=True)
    assert response.status_code == 200, path
    if response.mimetype.startswith(COMPRESSED):
        return len(gzip.compress(response.data, 5))
    return len(response.data)


def parts(page: str) -> set[str]:
    """Return the files that a browser loads with a page: one icon, and no lazy images."""
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
def test_page_is_within_limits(app: Flask, client: FlaskClient, runner: FlaskCliRunner, path: str) -> None:
    runner.invoke(args=["listings", "load-samples"])
    if path.endswith("/1"):
        path = re.search(r'href="(/listings/\d+)"', client.get("/").text)[1]
    page = client.get(path).text
    files = [path, *sorted(parts(page))]
    bytes_ = {one: weight(client, one) for one in files}
    assert len(files) <= MAX_REQUESTS, files
    assert sum(bytes_.values()) <= MAX_BYTES, bytes_
    assert app.static_url_path == "/static"
    for one in parts(page):
        assert one.startswith(("/static/", "/photos/")), f"found {one}, expected files of this site only"
    # Only other sites load og.png.
    assert not [one for one in files if "og." in one]
