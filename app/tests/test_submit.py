"""The form with which owners offer a home."""

from __future__ import annotations

import gc
import html
import io
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from picture_files import picture
from sqlalchemy import func, select
from sqlalchemy.orm import selectinload
from test_forms import GOOD

from harbour import submit
from harbour.extensions import db
from harbour.models import Kind, Listing, Photo, Status, now
from harbour.pictures import MEGABYTE


def token(client: FlaskClient) -> str:
    """Open the form, and return its CSRF token."""
    return re.search(r'name="csrf_token" type="hidden" value="(.*?)"', client.get("/submit").text)[1]


def stored(app: Flask) -> list[Listing]:
    with app.app_context():
        return list(db.session.scalars(select(Listing).options(selectinload(Listing.photos))))


def files(app: Flask) -> list[Path]:
    return list(Path(app.config["HARBOUR_PHOTOS"]).glob("*"))


@pytest.fixture(autouse=True)
def empty_folder(app: Flask) -> None:
    for path in files(app):
        path.unlink()


def test_valid_listing_is_stored_as_pending(app: Flask, client: FlaskClient) -> None:
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

    for _ in range(2):  # also after a reload
        page = client.get(response.location)
        assert listing.reference in page.text
        assert page.headers["Cache-Control"] == "private, no-store"
    assert GOOD["title"] not in client.get("/listings/").text
    assert client.get(f"/listings/{listing.id}").status_code == 404


def test_invalid_listing_returns_form_with_values(app: Flask, client: FlaskClient) -> None:
    data = {**GOOD, "price": "a <lot>", "title": "", "csrf_token": token(client)}
    response = client.post("/submit", data=data)
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


def test_form_without_csrf_token_returns_400(app: Flask, client: FlaskClient) -> None:
    for data in (GOOD, {**GOOD, "csrf_token": "forged"}):
        response = client.post("/submit", data=data)
        assert response.status_code == 400
        assert "The form came without its key" in response.text
    assert stored(app) == []


def test_thanks_without_submission_redirects_to_form(client: FlaskClient) -> None:
    response = client.get("/submit/thanks")
    assert response.status_code == 302
    assert response.location == "/submit"


def test_form_cannot_set_status(app: Flask, client: FlaskClient) -> None:
    extra = {"status": "published", "published_at": "2025-01-01", "id": "7"}
    client.post("/submit", data={**GOOD, **extra, "csrf_token": token(client)})
    [listing] = stored(app)
    assert listing.status is Status.PENDING


# --- Photos ------------------------------------------------------------------------------------


def send(client: FlaskClient, *contents: bytes, **fields: str):
    uploads = [(io.BytesIO(content), "IMG.JPG") for content in contents]
    data = {**GOOD, "csrf_token": token(client), **fields, "photos": uploads}
    return client.post("/submit", data=data, content_type="multipart/form-data")


def test_photos_are_stored_in_order(app: Flask, client: FlaskClient) -> None:
    response = send(client, picture(size=(900, 600)), picture("PNG", (300, 400)))
    assert response.status_code == 303
    [listing] = stored(app)
    assert [(one.position, one.width, one.height) for one in listing.photos] == [
        (0, 900, 600),
        (1, 300, 400),
    ]
    assert len(files(app)) == 4
    # Photos of pending listings are not public.
    for photo in listing.photos:
        assert client.get(f"/photos/{photo.name}-large.jpg").status_code == 404


def test_invalid_photo_is_reported_and_nothing_stored(app: Flask, client: FlaskClient) -> None:
    response = send(client, picture(), b"<script>alert(1)</script>")
    assert response.status_code == 422
    assert "Photo 2: We found no JPEG, PNG or WebP picture" in response.text
    assert GOOD["title"] in response.text
    assert (stored(app), files(app)) == ([], [])


def test_invalid_form_reports_that_photos_are_lost(app: Flask, client: FlaskClient) -> None:
    response = send(client, picture(), title="")
    assert response.status_code == 422
    assert "please choose them once more" in response.text
    assert files(app) == []


# Werkzeug does not close the temporary files of a body that is too large.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_only_photo_form_accepts_large_request(app: Flask, client: FlaskClient) -> None:
    long = "x" * (1024 * 1024 + 1)
    for path in ("/contact", "/admin/login"):
        response = client.post(path, data={"text": long})
        assert response.status_code == 413, path
        assert "More than we can carry" in response.text
    response = send(client, *[picture() + bytes(6 * MEGABYTE)] * 2)
    assert response.status_code == 303
    response = send(client, *[bytes(8 * MEGABYTE)] * 6)
    assert response.status_code == 413
    assert len(stored(app)) == 1
    del response
    gc.collect()


def test_failed_commit_deletes_photos(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = token(client)

    def fail() -> None:
        raise RuntimeError("the database failed")

    app.testing = False
    try:
        with monkeypatch.context() as patch:
            patch.setattr(db.session, "commit", fail)
            uploads = [(io.BytesIO(picture()), "x.jpg")]
            response = client.post("/submit", data={**GOOD, "csrf_token": key, "photos": uploads})
    finally:
        app.testing = True
    assert response.status_code == 500
    assert "please quote <code>" in response.text
    assert (stored(app), files(app)) == ([], [])


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    file_fields=st.sets(st.sampled_from([*GOOD, "submission", "website"]), min_size=1),
    photos_text=st.text(max_size=20),
)
def test_file_in_text_field_causes_no_exception(
    client: FlaskClient, file_fields: set[str], photos_text: str
) -> None:
    data: dict[str, object] = {**GOOD, "photos": photos_text, "csrf_token": token(client)}
    for name in file_fields:
        data[name] = (io.BytesIO(b"x"), "x.txt")
    response = client.post("/submit", data=data, content_type="multipart/form-data")
    assert response.status_code == (422 if file_fields & GOOD.keys() else 303)


# --- Repeated submissions ----------------------------------------------------------------------


def test_repeated_form_stores_one_listing(app: Flask, client: FlaskClient) -> None:
    page = client.get("/submit").text
    name = re.search(r'name="submission" type="hidden" value="([0-9a-f]{32})"', page)[1]
    for _ in range(2):
        response = send(client, picture(), submission=name)
        assert response.status_code == 303
        assert stored(app)[0].reference in client.get(response.location).text
    assert len(stored(app)) == 1
    assert len(files(app)) == 2
    for other in ("0" * 32, "1" * 32, "invalid ID", "invalid ID"):
        assert send(client, submission=other).status_code == 303
    assert len(stored(app)) == 5


def test_form_of_concurrent_request_stores_no_photos(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert send(client, picture(), submission="c" * 32).status_code == 303
    find_stored, calls = submit._find_stored, []

    def miss_first_time(form: object) -> Listing | None:
        calls.append(form)
        return find_stored(form) if len(calls) > 1 else None

    monkeypatch.setattr(submit, "_find_stored", miss_first_time)
    response = send(client, picture(), submission="c" * 32)
    assert response.status_code == 303
    assert len(calls) == 2
    assert (len(stored(app)), len(files(app))) == (1, 2)


def test_concurrent_forms_store_one_listing(app: Flask) -> None:
    client = app.test_client()
    data = {**GOOD, "csrf_token": token(client), "submission": "a" * 32}
    cookie = client.get_cookie("__Host-session").value

    def submit_form(_: int) -> int:
        browser = app.test_client()
        browser.set_cookie("__Host-session", cookie, secure=True)
        uploads = [(io.BytesIO(picture(size=(80, 50))), "x.jpg")]
        return browser.post("/submit", data={**data, "photos": uploads}).status_code

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(submit_form, range(12))) == {303}
    with app.app_context():
        assert db.session.scalar(select(func.count(Listing.id))) == 1
        assert db.session.scalar(select(func.count(Photo.id))) == 1
    assert len(files(app)) == 2


def test_rate_limit_returns_429_with_retry_after(fresh_app) -> None:
    app = fresh_app()
    with app.app_context():
        db.create_all()
    visitor = app.test_client()
    key = token(visitor)
    for _ in range(30):
        response = visitor.post("/submit", data={"csrf_token": key})
        assert response.status_code == 422
    response = visitor.post("/submit", data={"csrf_token": key})
    assert response.status_code == 429
    assert "One at a time, please" in response.text
    assert 0 < int(response.headers["Retry-After"]) <= 3600
    assert visitor.get("/submit").status_code == 200  # GET is not limited
    other_address = {"REMOTE_ADDR": "192.0.2.7"}
    assert visitor.post("/submit", data={}, environ_base=other_address).status_code == 400
