"""OpenAPI document of the API, which is also used to validate requests."""

from __future__ import annotations

from typing import Any

from flask import current_app

from .models import Kind
from .search import MAX_BEDROOMS, MAX_PAGE, MAX_PRICE, MAX_TEXT, Sort

MAX_PER_PAGE = 100


def _integer(low: int, high: int, **more: Any) -> dict[str, Any]:  # noqa: ANN401 (any JSON)
    return {"type": "integer", "minimum": low, "maximum": high, **more}


# The parameters of a search: name, schema.
PARAMETERS: dict[str, dict[str, Any]] = {
    "q": {
        "type": "string",
        "maxLength": MAX_TEXT,
        "description": "Words that all occur in the title, the street or the neighbourhood.",
    },
    "kind": {"type": "string", "enum": [kind.value for kind in Kind]},
    "min_price": _integer(0, MAX_PRICE, description="In whole units of the currency."),
    "max_price": _integer(0, MAX_PRICE, description="The result is empty if it is below min_price."),
    "bedrooms": _integer(0, MAX_BEDROOMS, description="Minimum number of bedrooms."),
    "sort": {"type": "string", "enum": [sort.value for sort in Sort], "default": "newest"},
    "page": _integer(1, MAX_PAGE, default=1),
    "per_page": _integer(1, MAX_PER_PAGE, default=20),
}

_TEXT = {"type": "string"}
_NUMBER = {"type": "integer", "minimum": 0}
_LINK = {"type": ["string", "null"], "description": "A path on this site."}


def _object(**properties: Any) -> dict[str, Any]:  # noqa: ANN401 (any JSON)
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _response(description: str, schema: str, media: str = "application/json") -> dict[str, Any]:
    return {
        "description": description,
        "content": {media: {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
    }


def _problem(description: str) -> dict[str, Any]:
    return _response(description, "Problem", "application/problem+json")


def description() -> dict[str, Any]:
    """Return the OpenAPI document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{current_app.config['HARBOUR_TOWN']} homes",
            "version": "1",
            "description": "Homes for sale. Public, read only, without a key.",
        },
        "servers": [{"url": "/"}],
        "paths": {
            "/api/v1/listings": {
                "get": {
                    "operationId": "searchListings",
                    "summary": "Search the listings, one page at a time",
                    "parameters": [
                        {"name": name, "in": "query", "required": False, "schema": schema}
                        for name, schema in PARAMETERS.items()
                    ],
                    "responses": {
                        "200": _response("One page of results.", "Page"),
                        "400": _problem("A parameter is invalid."),
                    },
                }
            },
            "/api/v1/listings/{id}": {
                "get": {
                    "operationId": "getListing",
                    "summary": "One listing",
                    "parameters": [
                        {
                            "name": "id",
                            "in": "path",
                            "required": True,
                            "schema": _integer(1, 2**31 - 1),
                        }
                    ],
                    "responses": {
                        "200": _response("The listing.", "Listing"),
                        "404": _problem("No published listing has this number."),
                    },
                }
            },
        },
        "components": {
            "schemas": {
                "Photo": _object(
                    large=_TEXT,
                    small=_TEXT,
                    width={**_NUMBER, "description": "Width of the large file in pixels."},
                    height=_NUMBER,
                ),
                "Listing": _object(
                    id=_NUMBER,
                    reference={**_TEXT, "description": "Reference number to quote in messages."},
                    url={**_TEXT, "description": "Path of the listing's page."},
                    title=_TEXT,
                    kind=PARAMETERS["kind"],
                    price={**_NUMBER, "description": "In whole units of the currency."},
                    bedrooms=_NUMBER,
                    bathrooms=_NUMBER,
                    area_m2={**_NUMBER, "description": "Floor area, or land for a plot."},
                    street=_TEXT,
                    neighbourhood=_TEXT,
                    description=_TEXT,
                    offered_by=_TEXT,
                    published_at={"type": "string", "format": "date-time"},
                    photos={"type": "array", "items": {"$ref": "#/components/schemas/Photo"}},
                ),
                "Page": _object(
                    items={"type": "array", "items": {"$ref": "#/components/schemas/Listing"}},
                    total=_NUMBER,
                    page=_NUMBER,
                    per_page=_NUMBER,
                    pages=_NUMBER,
                    links=_object(previous=_LINK, next=_LINK),
                ),
                "Problem": {
                    **_object(type=_TEXT, title=_TEXT, status=_NUMBER, detail=_TEXT),
                    "description": "By RFC 9457.",
                },
            }
        },
    }
