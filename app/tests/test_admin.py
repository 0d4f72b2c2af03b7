"""Moderation pages, login and sessions."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from conftest import MakeListing
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from sqlalchemy import select

from harbour import admin
from harbour.extensions import db
from harbour.models import Listing, Message, Moderator, Status, now

PASSWORD = "long lines and slack water"  # noqa: S105 (for tests only)


@pytest.fixture
def moderator(runner: FlaskCliRunner) -> str:
    """Create a moderator and return the name."""
    result = runner.invoke(args=["moderators", "add", "ada", "--password", PASSWORD])
    assert result.exit_code == 0, result.output
    return "ada"


def csrf_token(page: str) -> str:
    return re.search(r'name="csrf_token"[^>]* value="(.*?)"', page)[1]


def log_in(client: FlaskClient, name: str = "ada", password: str = PASSWORD, path: str = "/admin/login"):
    data = {"name": name, "password": password, "csrf_token": csrf_token(client.get(path).text)}
    return client.post(path, data=data)


@pytest.fixture
def moderator_client(client: FlaskClient, moderator: str) -> FlaskClient:
    assert log_in(client, moderator).status_code == 303
    return client


def decide(client: FlaskClient, listing_id: int, decision: str):
    page = client.get(f"/admin/listings/{listing_id}").text
    data = {"decision": decision, "csrf_token": csrf_token(page)}
    return client.post(f"/admin/listings/{listing_id}", data=data)


def status(app: Flask, listing_id: int) -> Status:
    with app.app_context():
        return db.session.get(Listing, listing_id).status


# --- Login -------------------------------------------------------------------------------------


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
        assert "That name and that password do not belong together." in response.text
    assert client.get("/admin/").status_code == 303
    assert moderator


def test_account_is_locked_after_ten_wrong_passwords(app: Flask, client: FlaskClient, moderator: str) -> None:
    for _ in range(admin.MAX_FAILURES):
        log_in(client, moderator, "wrong")
    assert log_in(client, moderator).status_code == 422  # correct, but still locked
    with app.app_context():
        account = db.session.scalar(select(Moderator))
        assert account.failures == admin.MAX_FAILURES
        account.failed_at = now() - admin.LOCKOUT - timedelta(seconds=1)
        db.session.commit()
    assert log_in(client, moderator).status_code == 303
    with app.app_context():
        assert db.session.scalar(select(Moderator.failures)) == 0


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
    weak = admin.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
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
    late = admin.time.time() + admin.MAX_SESSION_AGE + 1
    monkeypatch.setattr(admin.time, "time", lambda: late)
    assert moderator_client.get("/admin/").status_code == 303


def test_forged_cookie_is_rejected(app: Flask, moderator_client: FlaskClient) -> None:
    value = moderator_client.get_cookie("__Host-session").value
    forger = app.test_client()
    for forged in (value[:-1], value[::-1], "x", value.split(".")[0]):
        forger.set_cookie("__Host-session", forged, secure=True)
        assert forger.get("/admin/").status_code == 303
    with forger.session_transaction() as session:  # even with a valid signature
        session.update(moderator=1, key="0" * 32, since=admin.time.time())
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


# --- Decisions ---------------------------------------------------------------------------------


def test_oldest_pending_listing_comes_first(moderator_client: FlaskClient, make_listing: MakeListing) -> None:
    for title in ("First", "Second"):
        make_listing(title=title, status=Status.PENDING)
    make_listing(title="Public")
    page = moderator_client.get("/admin/").text
    assert re.findall(r">(First|Second|Public)</a>", page) == ["First", "Second"]
    assert re.findall(r">(Public)</a>", moderator_client.get("/admin/?status=published").text) == ["Public"]
    assert moderator_client.get("/admin/?status=nonsense&page=x").status_code == 200
    assert moderator_client.get("/admin/?page=-9").status_code == 200


def test_decisions_change_status_and_visibility(
    app: Flask, moderator_client: FlaskClient, make_listing: MakeListing
) -> None:
    listing = make_listing(status=Status.PENDING)
    assert listing.contact_email in moderator_client.get(f"/admin/listings/{listing.id}").text
    public = app.test_client()
    for decision, listing_status, status_code in (
        ("publish", Status.PUBLISHED, 200),
        ("take-down", Status.WITHDRAWN, 404),
        ("reopen", Status.PENDING, 404),
        ("turn-down", Status.WITHDRAWN, 404),
    ):
        assert decide(moderator_client, listing.id, decision).status_code == 303, decision
        assert status(app, listing.id) is listing_status
        assert public.get(f"/listings/{listing.id}").status_code == status_code


def test_decision_on_changed_status_returns_409(
    app: Flask, moderator_client: FlaskClient, make_listing: MakeListing
) -> None:
    listing = make_listing(status=Status.PENDING)
    token = csrf_token(moderator_client.get(f"/admin/listings/{listing.id}").text)
    with app.app_context():
        assert Listing.move(listing.id, Status.PENDING, Status.WITHDRAWN)
    response = moderator_client.post(
        f"/admin/listings/{listing.id}", data={"decision": "publish", "csrf_token": token}
    )
    assert response.status_code == 409
    assert "it is withdrawn now" in response.text
    assert status(app, listing.id) is Status.WITHDRAWN


def test_invalid_decisions_and_numbers_are_rejected(
    moderator_client: FlaskClient, make_listing: MakeListing
) -> None:
    listing = make_listing(status=Status.PENDING)
    assert decide(moderator_client, listing.id, "delete").status_code == 400
    token = csrf_token(moderator_client.get("/admin/").text)
    data = {"decision": "publish", "csrf_token": token}
    assert moderator_client.post(f"/admin/listings/{listing.id + 1}", data=data).status_code == 404
    assert moderator_client.get(f"/admin/listings/{listing.id + 1}").status_code == 404
    assert moderator_client.get(f"/admin/photos/{'0' * 32}-large.jpg").status_code == 404


def test_finished_message_is_hidden(app: Flask, moderator_client: FlaskClient) -> None:
    with app.app_context():
        db.session.add(Message(name="Ada <b>", email="ada&x@example.com", text="<i>Hello</i>"))
        db.session.commit()
        number = db.session.scalar(select(Message.id))
    page = moderator_client.get("/admin/messages").text
    assert "Ada &lt;b&gt;" in page
    assert "&lt;i&gt;Hello" in page
    assert 'href="mailto:ada%26x%40example.com"' in page
    for _ in range(2):
        response = moderator_client.post(f"/admin/messages/{number}", data={"csrf_token": csrf_token(page)})
        assert response.status_code == 303
    assert "No new messages." in moderator_client.get("/admin/messages").text


# --- Commands ----------------------------------------------------------------------------------


def test_moderator_commands_manage_accounts(runner: FlaskCliRunner) -> None:
    def run(*args: str) -> str:
        result = runner.invoke(args=["moderators", *args])
        return f"{result.exit_code}: {result.output}"

    assert "0: " in run("add", "ada", "--password", PASSWORD)
    assert "1: Error: Moderator ada already exists." in run("add", "ada", "--password", PASSWORD)
    assert "12 characters or more" in run("add", "bob", "--password", "short")
    assert "1 to 64 characters" in run("add", " ", "--password", PASSWORD)
    assert "Moderator bob does not exist." in run("password", "bob", "--password", PASSWORD)
    assert "Moderator bob does not exist." in run("remove", "bob")
    assert run("list").endswith("  ada\n")
    assert PASSWORD not in run("list")


def test_moderators_add_prompts_for_password(runner: FlaskCliRunner) -> None:
    result = runner.invoke(args=["moderators", "add", "ada"], input=f"{PASSWORD}\n{PASSWORD}\n")
    assert result.exit_code == 0
    assert PASSWORD not in result.output
