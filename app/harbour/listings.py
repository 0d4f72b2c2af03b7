"""Public pages of the listings."""

from __future__ import annotations

import math

from flask import Blueprint, render_template, request
from sqlalchemy import Select, func, select
from sqlalchemy.orm import defer, selectinload

from .extensions import db
from .models import Listing
from .search import Search, Sort, View, published

PER_PAGE = {View.CARDS: 12, View.TABLE: 36}

bp = Blueprint("listings", __name__, url_prefix="/listings")


def count(query: Select[tuple[Listing]]) -> int:
    """Return the number of listings that match a query."""
    return db.session.scalar(query.with_only_columns(func.count(Listing.id))) or 0


def slice_of(
    search: Search, limit: int, offset: int = 0, *, with_descriptions: bool = False
) -> list[Listing]:
    """Return one page of a search with its photos, in three queries.

    The first query reads only an index, so that late pages cost little more than the first one
    (measured with 50,000 listings).

    Args:
        search: conditions and order.
        limit: maximum number of listings.
        offset: number of listings to skip.
        with_descriptions: whether to load the descriptions.
    """
    numbers = db.session.scalars(
        search.select().with_only_columns(Listing.id).order_by(*search.order()).limit(limit).offset(offset)
    ).all()
    if not numbers:
        return []
    query = select(Listing).where(Listing.id.in_(numbers)).options(selectinload(Listing.photos))
    if not with_descriptions:
        query = query.options(defer(Listing.description, raiseload=True))
    by_number = {listing.id: listing for listing in db.session.scalars(query)}
    # A listing may have been withdrawn between the two queries.
    return [by_number[number] for number in numbers if number in by_number]


@bp.get("/")
def index() -> str:
    """Search the listings, one page at a time. Page numbers past the end show the last page."""
    search = Search.parse(request.args)
    per_page = PER_PAGE[search.view]
    total = count(search.select())
    pages = max(1, math.ceil(total / per_page))
    page = min(search.page, pages)
    return render_template(
        "listings/index.html",
        search=search,
        listings=slice_of(search, per_page, (page - 1) * per_page) if total else [],
        total=total,
        page=page,
        pages=pages,
        sorts=Sort,
        views=View,
    )


# Limited to the range of the column, because MySQL and PostgreSQL fail on larger numbers.
@bp.get("/<int(max=2147483647):listing_id>")
def show(listing_id: int) -> str:
    """Show one published listing, or 404."""
    listing = db.one_or_404(published().where(Listing.id == listing_id).options(selectinload(Listing.photos)))
    return render_template("listings/show.html", listing=listing)
