"""How long each page takes to make, uncached, and how many queries: `python bench.py [LISTINGS]`.

The application answers within this process, so what is measured is the application and its
database: the one that DATABASE_URL names, which is to be empty, or a new SQLite file. 50,000
listings unless said. The weather has no key, so nobody else is asked. Memory is what a worker has
that has answered all of it; another process fills the database.
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

TIMES = 15
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
    """Fill the database, ask for each page, and print a table."""
    with tempfile.TemporaryDirectory() as folder:
        url = os.environ.get("DATABASE_URL") or f"sqlite:///{folder}/harbour.db"
        filling = multiprocessing.get_context("spawn").Process(target=fill, args=(url, number, PASSWORD))
        filling.start()
        filling.join()
        if filling.exitcode:
            raise SystemExit(f"the database could not be filled: exit status {filling.exitcode}")
        app = made(url)
        with app.app_context():
            measure(app, db.session.scalar(select(func.min(Listing.id))) or 0, number)
            db.engine.dispose()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\n{memory:.0f} MB of memory at most, with {Path(sys.executable).name}")


def made(url: str) -> Flask:
    """Return the application, with its limits off."""
    return create_app({"DATABASE_URL": url, "SECRET_KEY": "bench", "HARBOUR_LIMITS": "off"})


def fill(url: str, number: int, password: str) -> None:
    """Have a schema, listings and a moderator."""
    app = made(url)
    with app.app_context():
        flask_migrate.upgrade()
        have = db.session.scalar(select(func.count(Listing.id))) or 0
        commands = [["moderators", "add", MODERATOR, "--password", password]]
        if have < number:
            commands.append(["listings", "make-samples", str(number - have)])
        for command in commands:
            app.test_cli_runner().invoke(args=command, catch_exceptions=False)


def log_in(client: FlaskClient) -> None:
    """Have the client be the moderator."""
    token = re.search(r'name="csrf_token"[^>]* value="(.*?)"', client.get("/admin/login").text)
    said = {"name": MODERATOR, "password": PASSWORD, "csrf_token": token[1] if token else ""}
    answer = client.post("/admin/login", data=said)
    if answer.status_code != 303:
        raise SystemExit(f"expected 303 of the login, got {answer.status_code}")


def measure(app: Flask, listing_id: int, number: int) -> None:
    """Print the median and the slowest of several answers for each page."""
    statements: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
    client = app.test_client()
    print(f"{'median':>9} {'slowest':>9} {'queries':>8} {'bytes':>8}  page, of {number:,} listings")
    for page in PAGES:
        if page == "/admin/":
            # What is before it is asked by somebody unknown.
            log_in(client)
        path = page.replace("ID", str(listing_id)).replace("LAST", "99999")
        client.get(path)
        taken = []
        for _ in range(TIMES):
            cache.clear()
            statements.clear()
            begun = time.perf_counter()
            answer = client.get(path)
            taken.append((time.perf_counter() - begun) * 1000)
            if answer.status_code != 200:
                raise SystemExit(f"expected 200 for {path}, got {answer.status_code}")
        print(
            f"{statistics.median(taken):6.1f} ms {max(taken):6.1f} ms"
            f" {len(statements):>8} {len(answer.data):>8}  {page}"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50_000)
