"""robots.txt, favicon.ico and the sitemaps."""

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

from .extensions import cached_text, db
from .models import Listing, Status

# Listings per file, by number. The protocol allows 50,000.
CHUNK = 5_000
CACHE_SECONDS = 600
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
    """Return robots.txt with the excluded paths and the sitemap."""
    return _text(render_template("robots.txt"), "text/plain")


@bp.get("/favicon.ico")
def favicon() -> Response:
    """Return the icon for clients that request it at its default path."""
    return send_from_directory(Path(current_app.static_folder or ""), "favicon.ico")


@bp.get("/sitemap.xml")
def index() -> Response:
    """List the sitemaps: one of the pages, and one per range of listing numbers."""
    last = db.session.scalar(select(func.max(Listing.id))) or 0
    return _text(render_template("sitemap/index.xml", chunks=range(last // CHUNK + 1)))


@bp.get("/sitemap/pages.xml")
def pages() -> Response:
    """List the static pages."""
    addresses = [(url_for(name, _external=True), None) for name in PAGES]
    return _text(render_template("sitemap/urls.xml", addresses=addresses))


@bp.get("/sitemap/listings-<int(max=429496):chunk>.xml")
def listings(chunk: int) -> Response:
    """List the published listings in this range of numbers."""
    # The base URL is part of the key, because it contains the Host header of the request.
    base = url_for("listings.index", _external=True)

    def render() -> str:
        rows = db.session.execute(
            select(Listing.id, Listing.published_at)
            .where(Listing.status == Status.PUBLISHED)
            .where(Listing.id >= chunk * CHUNK, Listing.id < (chunk + 1) * CHUNK)
            .order_by(Listing.id)
        ).all()
        if not rows and chunk:
            abort(404)
        addresses = [(f"{base}{number}", published) for number, published in rows]
        return render_template("sitemap/urls.xml", addresses=addresses)

    return _text(cached_text(f"sitemap {base} {chunk}", CACHE_SECONDS, render))


def _text(text: str, mimetype: str = "application/xml") -> Response:
    return Response(text, mimetype=mimetype, headers={"Cache-Control": f"public, max-age={CACHE_SECONDS}"})
