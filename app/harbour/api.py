"""The public listings for programs: JSON at /api/v1/, described by an OpenAPI document.

Unlike the pages, which make something sensible of any search, this says what is wrong with one: a
program that is misunderstood should hear of it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, jsonify, request, url_for
from sqlalchemy.orm import selectinload

from .errors import QueryError
from .extensions import db
from .listings import count, slice_of
from .models import Kind, Listing
from .openapi import PARAMETERS, description
from .search import Search, Sort, published

bp = Blueprint("api", __name__, url_prefix="/api/v1")


@bp.after_request
def allow_everybody(response: Response) -> Response:
    """Let pages of other sites read it: it is public, and no cookie matters here."""
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


@bp.get("/openapi.json")
def document() -> Response:
    """Describe the API."""
    return jsonify(description())


@bp.get("/listings")
def listings() -> Response:
    """Search the listings, a page at a time."""
    asked = _asked(request.args.to_dict(flat=False))
    page, per_page = int(asked.get("page", 1)), int(asked.get("per_page", 20))
    search = Search(
        text=Search.parse({"q": str(asked.get("q", ""))}).text,
        kind=Kind(asked["kind"]) if "kind" in asked else None,
        min_price=asked.get("min_price"),
        max_price=asked.get("max_price"),
        bedrooms=asked.get("bedrooms"),
        sort=Sort(asked.get("sort", Sort.NEWEST.value)),
    )
    total = count(search.select())
    pages = math.ceil(total / per_page)
    found = slice_of(search, per_page, (page - 1) * per_page, whole=True) if page <= pages else []

    def link(number: int) -> str | None:
        if not 1 <= number <= pages:
            return None
        return url_for("api.listings", **{**asked, "page": number})

    return jsonify(
        items=[_listing(listing) for listing in found],
        total=total,
        page=page,
        per_page=per_page,
        pages=pages,
        links={"previous": link(page - 1), "next": link(page + 1)},
    )


@bp.get("/listings/<int(max=2147483647):listing_id>")
def listing(listing_id: int) -> Response:
    """Return one published listing, or 404."""
    found = db.one_or_404(published().where(Listing.id == listing_id).options(selectinload(Listing.photos)))
    return jsonify(_listing(found))


def _asked(args: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return what is asked for, each value of its own type.

    Raises:
        QueryError: something is not as the OpenAPI document says; it names every such parameter.
    """
    asked: dict[str, Any] = {}
    wrong = [f"{name}: no parameter of this name" for name in args if name not in PARAMETERS]
    for name, schema in PARAMETERS.items():
        values = args.get(name, [])
        if len(values) > 1:
            wrong.append(f"{name}: given {len(values)} times")
        elif values:
            try:
                asked[name] = _value(values[0], schema)
            except ValueError as error:
                wrong.append(f"{name}: {error}")
    if wrong:
        raise QueryError("; ".join(wrong))
    return asked


def _value(text: str, schema: Mapping[str, Any]) -> int | str:
    """Return a parameter's value.

    Raises:
        ValueError: the schema does not allow it.
    """
    if schema["type"] == "integer":
        low, high = schema["minimum"], schema["maximum"]
        if not re.fullmatch(r"-?[0-9]{1,12}", text) or not low <= int(text) <= high:
            raise ValueError(f"expected a whole number from {low} to {high}")
        return int(text)
    if choices := schema.get("enum"):
        if text not in choices:
            raise ValueError(f"expected one of {', '.join(choices)}")
    elif len(text) > schema["maxLength"]:
        raise ValueError(f"expected at most {schema['maxLength']} characters")
    return text


def _listing(listing: Listing) -> dict[str, Any]:
    """Return what the public may know of a listing."""
    assert listing.published_at  # noqa: S101 (published ones have it)
    return {
        "id": listing.id,
        "reference": listing.reference,
        "url": url_for("listings.show", listing_id=listing.id),
        "title": listing.title,
        "kind": listing.kind.value,
        "price": listing.price,
        "bedrooms": listing.bedrooms,
        "bathrooms": listing.bathrooms,
        "area_m2": listing.area_m2,
        "street": listing.street,
        "neighbourhood": listing.neighbourhood,
        "description": listing.description,
        "offered_by": listing.contact_name,
        "published_at": f"{listing.published_at.isoformat()}Z",
        "photos": [
            {
                "large": url_for("photos.show", name=photo.name, size="large"),
                "small": url_for("photos.show", name=photo.name, size="small"),
                "width": photo.width,
                "height": photo.height,
            }
            for photo in listing.photos
        ],
    }
