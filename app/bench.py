"""Measure duration, queries and size of uncached pages: `python bench.py [LISTINGS]`.

Requests run in this process, so the results include only the application and its database:
DATABASE_URL, which must be empty, or a new SQLite file. The default is 50,000 listings. Without an
OpenWeatherMap key no external service is requested. The memory is that of a worker after all
requests, because another process fills the database.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import resource
import secrets
import statistics
import sys
import tempfile
import time
from pathlib import Path

import flask_migrate
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, func, select

from harbour import create_app
from harbour.extensions import cache, db
from harbour.models import Listing

REQUESTS = 15  # for each page
PAGES = (
    "/",
    "/listings/",
    "/listings/?sort=price&page=2",
    "/listings/?page=LAST",
    "/listings/?kind=flat&bedrooms=2&max_price=300000",
    "/listings/?q=lantern+steps",
    "/listings/?q=nothing+at+all",
    "/listings/?view=table",
    "/listings/ID",
    "/submit",
    "/contact",
    "/resources",
    "/neighbourhoods/",
    "/neighbourhoods/over-time",
    "/neighbourhoods/compare",
    "/quiz/",
    "/quiz/archive",
    "/quiz/titles.json",
    "/weather/",
    "/weather/digest",
    "/api/v1/listings?per_page=100",
    "/api/v1/listings/ID",
    "/sitemap.xml",
    "/sitemap/listings-1.xml",
    "/readyz",
    "/admin/",
    "/admin/?status=published",
    "/admin/listings/ID",
    "/admin/messages",
)
MODERATOR, PASSWORD = "bench", secrets.token_urlsafe()


def main(number: int) -> None:
    """Fill the database, request each page, and print a table."""
    with tempfile.TemporaryDirectory() as folder:
        url = os.environ.get("DATABASE_URL") or f"sqlite:///{folder}/harbour.db"
        process = multiprocessing.get_context("spawn").Process(target=fill, args=(url, number, PASSWORD))
        process.start()
        process.join()
        if process.exitcode:
            raise SystemExit(f"filling the database failed with exit status {process.exitcode}")
        app = create(url)
        with app.app_context():
            measure(app, db.session.scalar(select(func.min(Listing.id))) or 0, number)
            db.engine.dispose()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\nmaximum memory {memory:.0f} MB, with {Path(sys.executable).name}")


def create(url: str) -> Flask:
    """Return the application without rate limits."""
    return create_app({"DATABASE_URL": url, "SECRET_KEY": "bench", "HARBOUR_LIMITS": "off"})


def fill(url: str, number: int, password: str) -> None:
    """Create the tables, the listings and a moderator."""
    app = create(url)
    with app.app_context():
        flask_migrate.upgrade()
        existing = db.session.scalar(select(func.count(Listing.id))) or 0
        commands = [["moderators", "add", MODERATOR, "--password", password]]
        if existing < number:
            commands.append(["listings", "make-samples", str(number - existing)])
        for command in commands:
            app.test_cli_runner().invoke(args=command, catch_exceptions=False)


def log_in(client: FlaskClient) -> None:
    """Log in as the moderator."""
    token = re.search(r'name="csrf_token"[^>]* value="(.*?)"', client.get("/admin/login").text)
    data = {"name": MODERATOR, "password": PASSWORD, "csrf_token": token[1] if token else ""}
    response = client.post("/admin/login", data=data)
    if response.status_code != 303:
        raise SystemExit(f"login: found status {response.status_code}, expected 303")


def measure(app: Flask, listing_id: int, number: int) -> None:
    """Print the median and the maximum duration of several requests for each page."""
    statements: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
    client = app.test_client()
    print(f"{'median':>9} {'slowest':>9} {'queries':>8} {'bytes':>8}  page, of {number:,} listings")
    for page in PAGES:
        if page == "/admin/":
            # Pages before this one are measured without a login.
            log_in(client)
        path = page.replace("ID", str(listing_id)).replace("LAST", "99999")
        client.get(path)
        durations = []
        for _ in range(REQUESTS):
            cache.clear()
            statements.clear()
            started = time.perf_counter()
            response = client.get(path)
            durations.append((time.perf_counter() - started) * 1000)
            if response.status_code != 200:
                raise SystemExit(f"{path}: found status {response.status_code}, expected 200")
        print(
            f"{statistics.median(durations):6.1f} ms {max(durations):6.1f} ms"
            f" {len(statements):>8} {len(response.data):>8}  {page}"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50_000)
