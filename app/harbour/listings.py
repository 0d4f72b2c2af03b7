"""The listings that everybody can see."""

from __future__ import annotations

import math

from flask import Blueprint, render_template, request
from sqlalchemy import func

from .extensions import db
from .models import Listing
from .search import Search, Sort, published

PER_PAGE = 12

bp = Blueprint("listings", __name__, url_prefix="/listings")


@bp.get("/")
def index() -> str:
    """Search the listings, a page at a time. A page past the end shows the last one."""
    search = Search.parse(request.args)
    found = search.select()
    total = db.session.scalar(found.with_only_columns(func.count(Listing.id))) or 0
    pages = max(1, math.ceil(total / PER_PAGE))
    page = min(search.page, pages)
    listings = db.session.scalars(
        found.order_by(*search.order()).limit(PER_PAGE).offset((page - 1) * PER_PAGE)
    ).all()
    return render_template(
        "listings/index.html",
        search=search,
        listings=listings,
        total=total,
        page=page,
        pages=pages,
        sorts=Sort,
    )


# The limit is the column's: a longer number would be an error on some databases, not a miss.
@bp.get("/<int(max=2147483647):listing_id>")
def show(listing_id: int) -> str:
    """Show one published listing, or 404."""
    listing = db.one_or_404(published().where(Listing.id == listing_id))
    return render_template("listings/show.html", listing=listing)
