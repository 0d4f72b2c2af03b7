"""What search engines and browsers ask for by a fixed address."""

from __future__ import annotations

from pathlib import Path

from flask import (
    Blueprint,
    Response,
    abort,
    current_app,
    render_template,
    send_from_directory,
    url_for,
)
from sqlalchemy import func, select

from .extensions import db, remembered
from .models import Listing, Status

# Listings of one file, by number; 50,000 is the most that a sitemap may have.
CHUNK = 5_000
KEPT = 600  # seconds: nobody waits for a search engine
PAGES = (
    "home.index",
    "listings.index",
    "submit.form",
    "contact.form",
    "resources.index",
    "neighbourhoods.index",
    "neighbourhoods.over_time",
    "neighbourhoods.compare",
    "quiz.index",
    "quiz.archive",
    "weather.index",
)

bp = Blueprint("sitemap", __name__)


@bp.get("/robots.txt")
def robots() -> Response:
    """Say what is of no use to a search engine, and where the sitemap is."""
    return _text(render_template("robots.txt"), "text/plain")


@bp.get("/favicon.ico")
def favicon() -> Response:
    """Hand over the icon to who asks for it without looking at a page."""
    return send_from_directory(Path(current_app.static_folder or ""), "favicon.ico")


@bp.get("/sitemap.xml")
def index() -> Response:
    """List the sitemaps: one of the pages, and one for each so many listings."""
    last = db.session.scalar(select(func.max(Listing.id))) or 0
    return _text(render_template("sitemap/index.xml", chunks=range(last // CHUNK + 1)))


@bp.get("/sitemap/pages.xml")
def pages() -> Response:
    """List the pages that are always there."""
    addresses = [(url_for(name, _external=True), None) for name in PAGES]
    return _text(render_template("sitemap/urls.xml", addresses=addresses))


@bp.get("/sitemap/listings-<int(max=429496):chunk>.xml")
def listings(chunk: int) -> Response:
    """List the published listings whose numbers are in this chunk."""
    # The address in front of each is the visitor's, or one could put another's into all.
    base = url_for("listings.index", _external=True)

    def make() -> str:
        found = db.session.execute(
            select(Listing.id, Listing.published_at)
            .where(Listing.status == Status.PUBLISHED)
            .where(Listing.id >= chunk * CHUNK, Listing.id < (chunk + 1) * CHUNK)
            .order_by(Listing.id)
        ).all()
        if not found and chunk:
            abort(404)
        addresses = [(f"{base}{number}", published) for number, published in found]
        return render_template("sitemap/urls.xml", addresses=addresses)

    return _text(remembered(f"sitemap {base} {chunk}", KEPT, make))


def _text(text: str, mimetype: str = "application/xml") -> Response:
    return Response(text, mimetype=mimetype, headers={"Cache-Control": f"public, max-age={KEPT}"})
