"""Number of database queries per page: at most six, independent of the number of rows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from conftest import MakeListing
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from moderators import PASSWORD, log_in
from sqlalchemy import event

from harbour.extensions import cache, db
from harbour.models import Message, Photo, Status

MAX_QUERIES = 6
# Number of queries per page.
PAGES = {
    "/": 3,
    "/listings/": 4,
    "/listings/?view=table&sort=price": 4,
    "/listings/?q=boat+yard&kind=house&min_price=1&bedrooms=1&page=2": 4,
    "/listings/?q=nothing": 1,
    "/listings/ID": 2,
    "/photos/NAME-small.jpg": 1,
    "/submit": 0,
    "/contact": 0,
    "/contact?listing=ID": 1,
    "/resources": 0,
    "/neighbourhoods/": 2,
    "/neighbourhoods/over-time": 2,
    "/neighbourhoods/compare": 2,
    "/neighbourhoods/figures.csv": 2,
    "/quiz/": 3,  # the first request of a day stores the film
    "/quiz/today.json": 1,
    "/quiz/titles.json": 0,
    "/quiz/archive": 1,
    "/quiz/archive/2025-05-04": 1,
    # Without a key. test_weather.py has the numbers with a key.
    "/weather/": 0,
    "/weather/digest": 0,
    "/weather/digest/asked": 0,
    "/weather/digest/confirm": 0,
    "/weather/digest/leave": 0,
    "/api/v1/listings?per_page=100": 4,
    "/api/v1/listings/ID": 2,
    "/api/v1/openapi.json": 0,
    "/healthz": 0,
    "/readyz": 2,
    "/robots.txt": 0,
    "/favicon.ico": 0,
    "/sitemap.xml": 1,
    "/sitemap/pages.xml": 0,
    "/sitemap/listings-0.xml": 1,
    "/nowhere": 0,
    "/admin/login": 0,
}
ADMIN_PAGES = {
    "/admin/": 3,
    "/admin/?status=published": 3,
    "/admin/listings/ID": 3,
    "/admin/messages": 2,
    "/admin/two-factor": 1,
    "/admin/photos/NAME-large.jpg": 2,
}


@pytest.fixture
def queries(app: Flask) -> Iterator[list[str]]:
    """Yield a list that contains the statements executed so far."""
    statements: list[str] = []

    def record(_c: object, _cu: object, statement: str, *_: object) -> None:
        statements.append(statement)

    with app.app_context():
        event.listen(db.engine, "before_cursor_execute", record)
    yield statements
    with app.app_context():
        event.remove(db.engine, "before_cursor_execute", record)


@pytest.fixture
def listing_id(app: Flask, make_listing: MakeListing) -> int:
    """Fill the database, and return the ID of a listing."""
    numbers = [make_listing().id for _ in range(40)]
    make_listing(status=Status.PENDING)
    with app.app_context():
        cache.clear()
        for number in numbers:
            for position in range(3):
                name = f"{number:030}{position:02}"
                photo = Photo(listing_id=number, name=name, position=position, width=9, height=9)
                db.session.add(photo)
            db.session.add(Message(name="Ada", email="a@example.com", text="Hello", listing_id=number))
        db.session.commit()
    return numbers[0]


def count_queries(client: FlaskClient, queries: list[str], path: str, number: int) -> int:
    queries.clear()
    path = path.replace("ID", str(number)).replace("NAME", f"{number:030}00")
    client.get(path, buffered=True)
    return len(queries)


def test_public_page_query_counts(client: FlaskClient, queries: list[str], listing_id: int) -> None:
    got = {path: count_queries(client, queries, path, listing_id) for path in PAGES}
    assert got == PAGES
    assert max(got.values()) <= MAX_QUERIES


def test_admin_page_query_counts(
    client: FlaskClient, runner: FlaskCliRunner, queries: list[str], listing_id: int
) -> None:
    runner.invoke(args=["moderators", "add", "ada", "--password", PASSWORD])
    log_in(client)
    got = {path: count_queries(client, queries, path, listing_id) for path in ADMIN_PAGES}
    assert got == ADMIN_PAGES
    assert max(got.values()) <= MAX_QUERIES


def test_every_page_has_query_count(app: Flask) -> None:
    """Fails if the tables above lack a page."""
    adapter = app.url_map.bind("localhost")

    def endpoint(path: str) -> str:
        concrete = path.replace("ID", "1").replace("NAME", "0" * 32).partition("?")[0]
        return adapter.match(concrete)[0]

    listed = {endpoint(path) for path in (*PAGES, *ADMIN_PAGES) if path != "/nowhere"}
    pages = {rule.endpoint for rule in app.url_map.iter_rules() if "GET" in rule.methods}
    assert pages - listed == {"static", "metrics", "submit.thanks", "contact.thanks"}
