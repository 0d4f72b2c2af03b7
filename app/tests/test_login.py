"""Login and sessions of moderators."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from conftest import MakeListing
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from moderators import PASSWORD, csrf_token, log_in
from sqlalchemy import select
from test_admin import status

from harbour.admin import login
from harbour.extensions import db
from harbour.models import Moderator, Status


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "path",
    [
        "/admin/",
        "/admin/?status=published",
        "/admin/messages",
        "/admin/listings/1",
        "/admin/messages/1",
        "/admin/logout",
        f"/admin/photos/{'0' * 32}-large.jpg",
    ],
)
def test_admin_page_without_login_redirects_to_login(app: Flask, method: str, path: str) -> None:
    app.config["WTF_CSRF_ENABLED"] = False  # as if the token were valid
    try:
        response = app.test_client().open(path, method=method)
    finally:
        app.config["WTF_CSRF_ENABLED"] = True
    if response.status_code == 405:
        return
    assert response.status_code == 303
    assert response.location.startswith("/admin/login")


def test_login_redirects_to_requested_page(client: FlaskClient, moderator: str) -> None:
    redirect = client.get("/admin/?status=published")
    assert redirect.location == "/admin/login?next=/admin/?status%3Dpublished"
    assert log_in(client, moderator, path=redirect.location).location == "/admin/?status=published"
    assert client.get("/admin/login").location == "/admin/"


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "/admin/\\..\\x", "x", ""],
)
def test_login_does_not_redirect_to_other_sites(client: FlaskClient, moderator: str, target: str) -> None:
    response = log_in(client, moderator, path=f"/admin/login?next={target}")
    assert response.location == "/admin/"


@pytest.mark.parametrize(
    ("name", "password"),
    [("ada", "wrong"), ("ADA", "x"), ("bob", PASSWORD), ("ada", ""), ("", PASSWORD), ("ada", "\0")],
)
def test_failed_login_does_not_reveal_reason(
    client: FlaskClient, moderator: str, name: str, password: str
) -> None:
    response = log_in(client, name, password)
    assert response.status_code == 422
    assert PASSWORD not in response.text
    if name and password:
        assert login.INVALID_LOGIN in response.text
    assert client.get("/admin/").status_code == 303
    assert moderator


def test_login_rate_limit_per_address_returns_429(fresh_app: Callable[..., Flask]) -> None:
    app = fresh_app()
    with app.app_context():
        db.create_all()
    visitor = app.test_client()
    got = [log_in(visitor, f"name {n}", "wrong").status_code for n in range(21)]
    assert got == [422] * 20 + [429]
    assert visitor.get("/admin/login").status_code == 200


def test_password_is_stored_as_argon2id(app: Flask, moderator: str) -> None:
    with app.app_context():
        stored = db.session.scalar(select(Moderator.password_hash))
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert moderator


def test_login_replaces_weak_hash(app: Flask, client: FlaskClient, moderator: str) -> None:
    weak = login.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    with app.app_context():
        db.session.scalar(select(Moderator)).password_hash = weak
        db.session.commit()
    assert log_in(client, moderator).status_code == 303
    with app.app_context():
        assert "m=19456,t=2" in db.session.scalar(select(Moderator.password_hash))


# --- Sessions ----------------------------------------------------------------------------------


def test_login_discards_previous_session(client: FlaskClient, moderator: str) -> None:
    with client.session_transaction() as session:
        session.update(submitted="H-0001", moderator=99)
    log_in(client, moderator)
    with client.session_transaction() as session:
        assert "submitted" not in session
        assert session.keys() >= {"moderator", "key", "since"}
        assert not session.permanent


def test_logout_invalidates_copied_cookie(app: Flask, moderator_client: FlaskClient) -> None:
    copy = app.test_client()
    copy.set_cookie("__Host-session", moderator_client.get_cookie("__Host-session").value, secure=True)
    assert copy.get("/admin/").status_code == 200
    page = moderator_client.get("/admin/").text
    moderator_client.post("/admin/logout", data={"csrf_token": csrf_token(page)})
    assert moderator_client.get("/admin/").status_code == 303
    assert copy.get("/admin/").status_code == 303


@pytest.mark.parametrize("command", [["password", "ada", "--password", PASSWORD], ["remove", "ada"]])
def test_changed_or_removed_account_ends_sessions(
    moderator_client: FlaskClient, runner: FlaskCliRunner, command: list[str]
) -> None:
    assert runner.invoke(args=["moderators", *command]).exit_code == 0
    assert moderator_client.get("/admin/").status_code == 303


def test_session_ends_after_twelve_hours(
    moderator_client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = login.time.time() + login.MAX_SESSION_AGE + 1
    monkeypatch.setattr(login.time, "time", lambda: late)
    assert moderator_client.get("/admin/").status_code == 303


def test_forged_cookie_is_rejected(app: Flask, moderator_client: FlaskClient) -> None:
    value = moderator_client.get_cookie("__Host-session").value
    forger = app.test_client()
    for forged in (value[:-1], value[::-1], "x", value.split(".")[0]):
        forger.set_cookie("__Host-session", forged, secure=True)
        assert forger.get("/admin/").status_code == 303
    with forger.session_transaction() as session:  # even with a valid signature
        session.update(moderator=1, key="0" * 32, since=login.time.time())
    assert forger.get("/admin/").status_code == 303


def test_post_without_csrf_token_returns_400(
    app: Flask, moderator_client: FlaskClient, make_listing: MakeListing
) -> None:
    listing = make_listing(status=Status.PENDING)
    response = moderator_client.post(f"/admin/listings/{listing.id}", data={"decision": "publish"})
    assert response.status_code == 400
    assert status(app, listing.id) is Status.PENDING
    assert moderator_client.post("/admin/logout").status_code == 400
    assert moderator_client.get("/admin/").status_code == 200
