"""How long each page takes to make, uncached, and how many queries: `python bench.py [LISTINGS]`.

The application answers within this process, so what is measured is the application and its
database: the one that DATABASE_URL names, which is to be empty, or a new SQLite file. 50,000
listings unless said.
"""

from __future__ import annotations

import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

import flask_migrate
from flask import Flask
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
    "/api/v1/listings?per_page=100",
    "/api/v1/listings/ID",
    "/sitemap.xml",
    "/sitemap/listings-1.xml",
    "/readyz",
)


def main(number: int) -> None:
    """Fill the database, ask for each page, and print a table."""
    with tempfile.TemporaryDirectory() as folder:
        url = os.environ.get("DATABASE_URL") or f"sqlite:///{folder}/harbour.db"
        app = create_app({"DATABASE_URL": url, "SECRET_KEY": "bench", "HARBOUR_LIMITS": "off"})
        with app.app_context():
            flask_migrate.upgrade()
            have = db.session.scalar(select(func.count(Listing.id))) or 0
            if have < number:
                command = ["listings", "make-samples", str(number - have)]
                app.test_cli_runner().invoke(args=command, catch_exceptions=False)
            measure(app, db.session.scalar(select(func.min(Listing.id))) or 0, number)
            db.engine.dispose()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\n{memory:.0f} MB of memory at most, the filling included; {Path(sys.executable).name}")


def measure(app: Flask, listing_id: int, number: int) -> None:
    """Print the median and the slowest of several answers for each page."""
    statements: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
    client = app.test_client()
    print(f"{'median':>9} {'slowest':>9} {'queries':>8} {'bytes':>8}  page, of {number:,} listings")
    for page in PAGES:
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
