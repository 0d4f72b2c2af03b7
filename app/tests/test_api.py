"""The JSON API."""

from __future__ import annotations

import pytest
import schemathesis
from conftest import MakeListing
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode

from harbour.models import Kind, Status


def test_listings_returns_requested_page(client: FlaskClient, make_listing: MakeListing) -> None:
    for number in range(5):
        make_listing(title=f"Home {number}")
    make_listing(title="Secret", status=Status.PENDING)
    response = client.get("/api/v1/listings?per_page=2&page=2&kind=house")
    assert response.mimetype == "application/json"
    body = response.json
    assert [item["title"] for item in body["items"]] == ["Home 2", "Home 1"]
    assert {name: body[name] for name in ("total", "page", "per_page", "pages")} == {
        "total": 5,
        "page": 2,
        "per_page": 2,
        "pages": 3,
    }
    for link, number in (("previous", 1), ("next", 3)):
        neighbour = client.get(body["links"][link]).json
        assert (neighbour["page"], neighbour["per_page"]) == (number, 2)
    for empty in ("page=99", "min_price=2&max_price=1"):
        assert client.get(f"/api/v1/listings?{empty}").json["items"] == []


def test_listing_returns_public_fields(client: FlaskClient, make_listing: MakeListing) -> None:
    listing = make_listing(kind=Kind.LOFT)
    body = client.get(f"/api/v1/listings/{listing.id}").json
    assert body["kind"] == "loft"
    assert body["published_at"] == "2025-05-04T00:00:00Z"
    assert client.get(body["url"]).status_code == 200
    assert listing.contact_email not in str(body)


def test_unpublished_listing_returns_404(client: FlaskClient, make_listing: MakeListing) -> None:
    pending = make_listing(status=Status.PENDING)
    for path in (str(pending.id), "0", "-1", "x", "9" * 30, "", "../../admin/"):
        response = client.get(f"/api/v1/listings/{path}", follow_redirects=True)
        assert response.status_code == 404, path
        if response.request.path.startswith("/api/"):
            assert response.mimetype == "application/problem+json"


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("page=0", "page: expected a whole number from 1 to 100000"),
        ("page=two", "page: expected a whole number"),
        ("page=1.0", "page: expected a whole number"),
        ("page=", "page: expected a whole number"),
        ("page=%D9%A3", "page: expected a whole number"),
        ("per_page=101", "per_page: expected a whole number from 1 to 100"),
        ("kind=castle", "kind: expected one of house, cottage"),
        ("sort=colour", "sort: expected one of newest"),
        ("q=" + "x" * 81, "q: expected at most 80 characters"),
        ("colour=red", "colour: unknown parameter"),
        ("kind=loft&kind=flat", "kind: found 2 values, expected one"),
    ],
)
def test_invalid_parameter_returns_400_with_detail(client: FlaskClient, query: str, detail: str) -> None:
    response = client.get(f"/api/v1/listings?{query}")
    assert response.status_code == 400
    assert response.mimetype == "application/problem+json"
    assert response.json.keys() == {"type", "title", "status", "detail"}
    assert detail in response.json["detail"]
    both = client.get("/api/v1/listings?page=0&kind=castle").json["detail"]
    assert "page: " in both
    assert "kind: " in both


def test_error_response_is_problem_document(client: FlaskClient) -> None:
    for method, path, status in (
        ("GET", "/api/v1/nothing", 404),
        ("POST", "/api/v1/listings", 405),
        ("DELETE", "/api/v1/listings/1", 405),
    ):
        response = client.open(path, method=method)
        # Unsafe methods fail the CSRF check first, with 400.
        assert response.status_code in {status, 400}
        assert response.mimetype == "application/problem+json"
        assert response.json["status"] == response.status_code


def test_response_allows_all_origins(client: FlaskClient) -> None:
    response = client.get("/api/v1/listings")
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers.getlist("Cross-Origin-Resource-Policy") == ["cross-origin"]
    assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize("path", ["/api/v1/listings", "/api/v1/listings/{id}"])
def test_api_matches_openapi_document(
    app: Flask, make_listing: MakeListing, path: str, mode: GenerationMode
) -> None:
    for number in range(3):
        make_listing(title=f"Home {number}")
    operation = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", app)[path]["GET"]
    statuses = set()

    @settings(max_examples=60, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: schemathesis.Case) -> None:
        statuses.add(case.call_and_validate().status_code)

    check()
    finds_listings = mode is GenerationMode.POSITIVE and "{" not in path
    assert (200 in statuses) or not finds_listings, f"found {statuses}, expected pages of listings"
