"""Where an owner offers a home."""

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
from sqlalchemy import func, select
from sqlalchemy.orm import selectinload
from test_forms import GOOD
from test_photos import picture

from harbour import photos, submit
from harbour.extensions import db
from harbour.models import Kind, Listing, Photo, Status, now


def token(client: FlaskClient) -> str:
    """Open the form, and return its key."""
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


# --- Photos ------------------------------------------------------------------------------------


def send(client: FlaskClient, *contents: bytes, **fields: str):
    chosen = [(io.BytesIO(content), "IMG.JPG") for content in contents]
    data = {**GOOD, "csrf_token": token(client), **fields, "photos": chosen}
    return client.post("/submit", data=data, content_type="multipart/form-data")


def test_photos_come_with_it_in_their_order(app: Flask, client: FlaskClient) -> None:
    answer = send(client, picture(size=(900, 600)), picture("PNG", (300, 400)))
    assert answer.status_code == 303
    [listing] = stored(app)
    assert [(one.position, one.width, one.height) for one in listing.photos] == [
        (0, 900, 600),
        (1, 300, 400),
    ]
    assert len(files(app)) == 4
    # It is pending: nobody sees them.
    for photo in listing.photos:
        assert client.get(f"/photos/{photo.name}-large.jpg").status_code == 404


def test_a_photo_that_is_none_is_said_and_nothing_is_kept(app: Flask, client: FlaskClient) -> None:
    answer = send(client, picture(), b"<script>alert(1)</script>")
    assert answer.status_code == 422
    assert "Photo 2: This is no JPEG, PNG or WebP picture" in answer.text
    assert GOOD["title"] in answer.text
    assert (stored(app), files(app)) == ([], [])


def test_a_form_that_is_wrong_asks_for_the_photos_again(app: Flask, client: FlaskClient) -> None:
    answer = send(client, picture(), title="")
    assert answer.status_code == 422
    assert "please choose them once more" in answer.text
    assert files(app) == []


# Werkzeug leaves the parts of a body that it gave up on to the garbage collector.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_only_this_form_may_be_long(app: Flask, client: FlaskClient) -> None:
    long = "x" * (1024 * 1024 + 1)
    for path in ("/contact", "/admin/login"):
        answer = client.post(path, data={"text": long})
        assert answer.status_code == 413, path
        assert "More than we can carry" in answer.text
    answer = send(client, *[picture() + bytes(6 * photos.MEGABYTE)] * 2)
    assert answer.status_code == 303
    answer = send(client, *[bytes(8 * photos.MEGABYTE)] * 6)
    assert answer.status_code == 413
    assert len(stored(app)) == 1
    del answer
    gc.collect()


def test_nothing_is_left_behind_when_the_database_fails(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = token(client)

    def fail() -> None:
        raise RuntimeError("the database is gone")

    app.testing = False
    try:
        with monkeypatch.context() as patch:
            patch.setattr(db.session, "commit", fail)
            chosen = [(io.BytesIO(picture()), "x.jpg")]
            answer = client.post("/submit", data={**GOOD, "csrf_token": key, "photos": chosen})
    finally:
        app.testing = True
    assert answer.status_code == 500
    assert "please quote <code>" in answer.text
    assert (stored(app), files(app)) == ([], [])


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    as_files=st.sets(st.sampled_from([*GOOD, "submission", "website"]), min_size=1),
    photos_text=st.text(max_size=20),
)
def test_a_file_where_a_text_should_be_is_no_error_of_ours(
    client: FlaskClient, as_files: set[str], photos_text: str
) -> None:
    data: dict[str, object] = {**GOOD, "photos": photos_text, "csrf_token": token(client)}
    for name in as_files:
        data[name] = (io.BytesIO(b"x"), "x.txt")
    answer = client.post("/submit", data=data, content_type="multipart/form-data")
    assert answer.status_code == (422 if as_files & GOOD.keys() else 303)


# --- Sent once, stored once --------------------------------------------------------------------


def test_a_form_that_comes_twice_is_one_listing(app: Flask, client: FlaskClient) -> None:
    page = client.get("/submit").text
    name = re.search(r'name="submission" type="hidden" value="([0-9a-f]{32})"', page)[1]
    for _ in range(2):
        answer = send(client, picture(), submission=name)
        assert answer.status_code == 303
        assert stored(app)[0].reference in client.get(answer.location).text
    assert len(stored(app)) == 1
    assert len(files(app)) == 2
    for other in ("0" * 32, "1" * 32, "no name of ours", "no name of ours"):
        assert send(client, submission=other).status_code == 303
    assert len(stored(app)) == 5


def test_a_form_that_was_overtaken_leaves_no_photos(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert send(client, picture(), submission="c" * 32).status_code == 303
    sent, looked = submit._sent, []

    def too_early(form: object) -> Listing | None:
        looked.append(form)
        return sent(form) if len(looked) > 1 else None

    monkeypatch.setattr(submit, "_sent", too_early)
    answer = send(client, picture(), submission="c" * 32)
    assert answer.status_code == 303
    assert len(looked) == 2
    assert (len(stored(app)), len(files(app))) == (1, 2)


def test_forms_that_come_at_once_are_one_listing(app: Flask) -> None:
    client = app.test_client()
    data = {**GOOD, "csrf_token": token(client), "submission": "a" * 32}
    cookie = client.get_cookie("__Host-session").value

    def press(_: int) -> int:
        browser = app.test_client()
        browser.set_cookie("__Host-session", cookie, secure=True)
        chosen = [(io.BytesIO(picture(size=(80, 50))), "x.jpg")]
        return browser.post("/submit", data={**data, "photos": chosen}).status_code

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(press, range(12))) == {303}
    with app.app_context():
        assert db.session.scalar(select(func.count(Listing.id))) == 1
        assert db.session.scalar(select(func.count(Photo.id))) == 1
    assert len(files(app)) == 2


def test_who_sends_too_much_has_to_wait(fresh_app) -> None:
    app = fresh_app()
    with app.app_context():
        db.create_all()
    visitor = app.test_client()
    key = token(visitor)
    for _ in range(30):
        answer = visitor.post("/submit", data={"csrf_token": key})
        assert answer.status_code == 422
    answer = visitor.post("/submit", data={"csrf_token": key})
    assert answer.status_code == 429
    assert "One at a time, please" in answer.text
    assert 0 < int(answer.headers["Retry-After"]) <= 3600
    assert visitor.get("/submit").status_code == 200  # who reads may
    elsewhere = {"REMOTE_ADDR": "192.0.2.7"}
    assert visitor.post("/submit", data={}, environ_base=elsewhere).status_code == 400
