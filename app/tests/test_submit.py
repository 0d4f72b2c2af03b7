"""Where an owner offers a home."""

from __future__ import annotations

import html
import re

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from test_forms import GOOD

from harbour.extensions import db
from harbour.models import Kind, Listing, Status, now


def token(client: FlaskClient) -> str:
    """Open the form, and return its key."""
    return re.search(r'name="csrf_token" type="hidden" value="(.*?)"', client.get("/submit").text)[
        1
    ]


def stored(app: Flask) -> list[Listing]:
    with app.app_context():
        return list(db.session.scalars(select(Listing)))


def test_a_good_one_is_stored_and_waits(app: Flask, client: FlaskClient) -> None:
    response = client.post("/submit", data={**GOOD, "csrf_token": token(client)})
    assert response.status_code == 303
    assert response.location == "/submit/thanks"

    [listing] = stored(app)
    assert listing.status is Status.PENDING
    assert listing.published_at is None
    assert listing.kind is Kind.COTTAGE
    assert listing.price == 239_000
    assert listing.contact_email == GOOD["contact_email"]
    assert abs((now() - listing.created_at).total_seconds()) < 10

    for _ in range(2):  # it may be reloaded
        page = client.get(response.location)
        assert listing.reference in page.text
        assert page.headers["Cache-Control"] == "private, no-store"
    assert GOOD["title"] not in client.get("/listings/").text
    assert client.get(f"/listings/{listing.id}").status_code == 404


def test_a_bad_one_comes_back_with_what_was_typed(app: Flask, client: FlaskClient) -> None:
    typed = {**GOOD, "price": "a <lot>", "title": "", "csrf_token": token(client)}
    response = client.post("/submit", data=typed)
    assert response.status_code == 422
    assert stored(app) == []
    page = response.text
    assert "<title>Please check: Offer a home" in page
    assert re.search(r'<p class="error" id="title-error">Give the home a headline', page)
    assert re.search(r'<a href="#price">Asking price</a>: Use digits only', page)
    price = re.search(r'<input[^>]* id="price"[^>]*>', page)[0]
    assert 'aria-invalid="true"' in price
    assert 'aria-describedby="price-hint price-error"' in price
    assert 'value="a &lt;lot&gt;"' in price
    assert '<option selected value="cottage">' in page
    assert "One room down," in page
    assert html.escape(GOOD["contact_email"]) in page


def test_without_its_key_it_is_refused(app: Flask, client: FlaskClient) -> None:
    for data in (GOOD, {**GOOD, "csrf_token": "forged"}):
        response = client.post("/submit", data=data)
        assert response.status_code == 400
        assert "The form came without its key" in response.text
    assert stored(app) == []


def test_thanks_are_for_those_who_sent_something(client: FlaskClient) -> None:
    response = client.get("/submit/thanks")
    assert response.status_code == 302
    assert response.location == "/submit"


def test_nobody_can_publish_with_the_form(app: Flask, client: FlaskClient) -> None:
    extra = {"status": "published", "published_at": "2025-01-01", "id": "7"}
    client.post("/submit", data={**GOOD, **extra, "csrf_token": token(client)})
    [listing] = stored(app)
    assert listing.status is Status.PENDING
