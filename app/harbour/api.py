"""Public listings as JSON at /api/v1/, described by an OpenAPI document.

The pages correct invalid searches. The API rejects them with an error, so that developers of
clients notice mistakes.
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
def allow_all_origins(response: Response) -> Response:
    """Let scripts of other sites read the responses, which are public and independent of cookies."""
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


@bp.get("/openapi.json")
def document() -> Response:
    """Return the OpenAPI document."""
    return jsonify(description())


@bp.get("/listings")
def listings() -> Response:
    """Search the listings, one page at a time."""
    parameters = _parameters(request.args.to_dict(flat=False))
    page, per_page = int(parameters.get("page", 1)), int(parameters.get("per_page", 20))
    search = Search(
        text=Search.parse({"q": str(parameters.get("q", ""))}).text,
        kind=Kind(parameters["kind"]) if "kind" in parameters else None,
        min_price=parameters.get("min_price"),
        max_price=parameters.get("max_price"),
        bedrooms=parameters.get("bedrooms"),
        sort=Sort(parameters.get("sort", Sort.NEWEST.value)),
    )
    total = count(search.select())
    pages = math.ceil(total / per_page)
    results = (
        slice_of(search, per_page, (page - 1) * per_page, with_descriptions=True) if page <= pages else []
    )

    def link(number: int) -> str | None:
        if not 1 <= number <= pages:
            return None
        return url_for("api.listings", **{**parameters, "page": number})

    return jsonify(
        items=[_listing(listing) for listing in results],
        total=total,
        page=page,
        per_page=per_page,
        pages=pages,
        links={"previous": link(page - 1), "next": link(page + 1)},
    )


@bp.get("/listings/<int(max=2147483647):listing_id>")
def listing(listing_id: int) -> Response:
    """Return one published listing, or 404."""
    published_listing = db.one_or_404(
        published().where(Listing.id == listing_id).options(selectinload(Listing.photos))
    )
    return jsonify(_listing(published_listing))


def _parameters(args: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return the query parameters, converted to their types.

    Raises:
        QueryError: a parameter does not match the OpenAPI document. The message names all of them.
    """
    parameters: dict[str, Any] = {}
    problems = [f"{name}: unknown parameter" for name in args if name not in PARAMETERS]
    for name, schema in PARAMETERS.items():
        values = args.get(name, [])
        if len(values) > 1:
            problems.append(f"{name}: found {len(values)} values, expected one")
        elif values:
            try:
                parameters[name] = _value(values[0], schema)
            except ValueError as error:
                problems.append(f"{name}: {error}")
    if problems:
        raise QueryError("; ".join(problems))
    return parameters


def _value(text: str, schema: Mapping[str, Any]) -> int | str:
    """Convert a query parameter.

    Raises:
        ValueError: the value does not match the schema.
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
    """Return a listing's public fields."""
    assert listing.published_at  # noqa: S101 (set when a listing is published)
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
