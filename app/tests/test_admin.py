"""Where moderators decide what is shown."""

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

PASSWORD = "long lines and slack water"  # noqa: S105 (of the tests alone)


@pytest.fixture
def moderator(runner: FlaskCliRunner) -> str:
    """Make an account, as an operator does, and return its name."""
    result = runner.invoke(args=["moderators", "add", "ada", "--password", PASSWORD])
    assert result.exit_code == 0, result.output
    return "ada"


def key(page: str) -> str:
    return re.search(r'name="csrf_token"[^>]* value="(.*?)"', page)[1]


def log_in(client: FlaskClient, name: str = "ada", password: str = PASSWORD, path: str = "/admin/login"):
    data = {"name": name, "password": password, "csrf_token": key(client.get(path).text)}
    return client.post(path, data=data)


@pytest.fixture
def inside(client: FlaskClient, moderator: str) -> FlaskClient:
    assert log_in(client, moderator).status_code == 303
    return client


def decide(client: FlaskClient, listing_id: int, decision: str):
    page = client.get(f"/admin/listings/{listing_id}").text
    data = {"decision": decision, "csrf_token": key(page)}
    return client.post(f"/admin/listings/{listing_id}", data=data)


def status(app: Flask, listing_id: int) -> Status:
    with app.app_context():
        return db.session.get(Listing, listing_id).status


# --- Who gets in -------------------------------------------------------------------------------


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
def test_nobody_gets_in_without_a_login(app: Flask, method: str, path: str) -> None:
    app.config["WTF_CSRF_ENABLED"] = False  # even with the right key
    try:
        answer = app.test_client().open(path, method=method)
    finally:
        app.config["WTF_CSRF_ENABLED"] = True
    if answer.status_code == 405:
        return
    assert answer.status_code == 303
    assert answer.location.startswith("/admin/login")


def test_a_login_leads_to_what_was_asked_for(client: FlaskClient, moderator: str) -> None:
    asked = client.get("/admin/?status=published")
    assert asked.location == "/admin/login?next=/admin/?status%3Dpublished"
    assert log_in(client, moderator, path=asked.location).location == "/admin/?status=published"
    assert client.get("/admin/login").location == "/admin/"


@pytest.mark.parametrize(
    "elsewhere",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "/admin/\\..\\x", "x", ""],
)
def test_a_login_leads_nowhere_else(client: FlaskClient, moderator: str, elsewhere: str) -> None:
    answer = log_in(client, moderator, path=f"/admin/login?next={elsewhere}")
    assert answer.location == "/admin/"


@pytest.mark.parametrize(
    ("name", "password"),
    [("ada", "wrong"), ("ADA", "x"), ("bob", PASSWORD), ("ada", ""), ("", PASSWORD), ("ada", "\0")],
)
def test_what_is_wrong_is_not_said(client: FlaskClient, moderator: str, name: str, password: str) -> None:
    answer = log_in(client, name, password)
    assert answer.status_code == 422
    assert PASSWORD not in answer.text
    if name and password:
        assert "That name and that password do not belong together." in answer.text
    assert client.get("/admin/").status_code == 303
    assert moderator


def test_an_account_rests_after_ten_wrong_passwords(app: Flask, client: FlaskClient, moderator: str) -> None:
    for _ in range(admin.MOST_FAILURES):
        log_in(client, moderator, "wrong")
    assert log_in(client, moderator).status_code == 422  # the right one, too early
    with app.app_context():
        account = db.session.scalar(select(Moderator))
        assert account.failures == admin.MOST_FAILURES
        account.failed_at = now() - admin.REST - timedelta(seconds=1)
        db.session.commit()
    assert log_in(client, moderator).status_code == 303
    with app.app_context():
        assert db.session.scalar(select(Moderator.failures)) == 0


def test_an_address_that_tries_too_often_has_to_wait(fresh_app: Callable[..., Flask]) -> None:
    app = fresh_app()
    with app.app_context():
        db.create_all()
    visitor = app.test_client()
    got = [log_in(visitor, f"name {n}", "wrong").status_code for n in range(21)]
    assert got == [422] * 20 + [429]
    assert visitor.get("/admin/login").status_code == 200


def test_passwords_are_kept_as_argon2id(app: Flask, moderator: str) -> None:
    with app.app_context():
        stored = db.session.scalar(select(Moderator.password_hash))
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert moderator


def test_a_weaker_hash_is_made_anew(app: Flask, client: FlaskClient, moderator: str) -> None:
    weak = admin.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    with app.app_context():
        db.session.scalar(select(Moderator)).password_hash = weak
        db.session.commit()
    assert log_in(client, moderator).status_code == 303
    with app.app_context():
        assert "m=19456,t=2" in db.session.scalar(select(Moderator.password_hash))


# --- Sessions ----------------------------------------------------------------------------------


def test_a_session_begins_anew_with_the_login(client: FlaskClient, moderator: str) -> None:
    with client.session_transaction() as session:
        session.update(submitted="H-0001", moderator=99)
    log_in(client, moderator)
    with client.session_transaction() as session:
        assert "submitted" not in session
        assert session.keys() >= {"moderator", "key", "since"}
        assert not session.permanent


def test_logging_out_ends_every_copy_of_the_cookie(app: Flask, inside: FlaskClient) -> None:
    copy = app.test_client()
    copy.set_cookie("__Host-session", inside.get_cookie("__Host-session").value, secure=True)
    assert copy.get("/admin/").status_code == 200
    page = inside.get("/admin/").text
    inside.post("/admin/logout", data={"csrf_token": key(page)})
    assert inside.get("/admin/").status_code == 303
    assert copy.get("/admin/").status_code == 303


@pytest.mark.parametrize("command", [["password", "ada", "--password", PASSWORD], ["remove", "ada"]])
def test_an_operator_can_end_them(inside: FlaskClient, runner: FlaskCliRunner, command: list[str]) -> None:
    assert runner.invoke(args=["moderators", *command]).exit_code == 0
    assert inside.get("/admin/").status_code == 303


def test_they_end_after_twelve_hours(inside: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    late = admin.time.time() + admin.LONGEST + 1
    monkeypatch.setattr(admin.time, "time", lambda: late)
    assert inside.get("/admin/").status_code == 303


def test_a_forged_cookie_is_nobodys(app: Flask, inside: FlaskClient) -> None:
    value = inside.get_cookie("__Host-session").value
    forger = app.test_client()
    for forged in (value[:-1], value[::-1], "x", value.split(".")[0]):
        forger.set_cookie("__Host-session", forged, secure=True)
        assert forger.get("/admin/").status_code == 303
    with forger.session_transaction() as session:  # even one with our signature
        session.update(moderator=1, key="0" * 32, since=admin.time.time())
    assert forger.get("/admin/").status_code == 303


def test_nothing_is_done_without_the_forms_key(
    app: Flask, inside: FlaskClient, make_listing: MakeListing
) -> None:
    listing = make_listing(status=Status.PENDING)
    answer = inside.post(f"/admin/listings/{listing.id}", data={"decision": "publish"})
    assert answer.status_code == 400
    assert status(app, listing.id) is Status.PENDING
    assert inside.post("/admin/logout").status_code == 400
    assert inside.get("/admin/").status_code == 200


# --- What is decided ---------------------------------------------------------------------------


def test_what_waits_longest_comes_first(inside: FlaskClient, make_listing: MakeListing) -> None:
    for title in ("First", "Second"):
        make_listing(title=title, status=Status.PENDING)
    make_listing(title="Public")
    page = inside.get("/admin/").text
    assert re.findall(r">(First|Second|Public)</a>", page) == ["First", "Second"]
    assert re.findall(r">(Public)</a>", inside.get("/admin/?status=published").text) == ["Public"]
    assert inside.get("/admin/?status=nonsense&page=x").status_code == 200
    assert inside.get("/admin/?page=-9").status_code == 200


def test_a_listing_is_published_and_taken_down(
    app: Flask, inside: FlaskClient, make_listing: MakeListing
) -> None:
    listing = make_listing(status=Status.PENDING)
    assert listing.contact_email in inside.get(f"/admin/listings/{listing.id}").text
    public = app.test_client()
    for decision, after, found in (
        ("publish", Status.PUBLISHED, 200),
        ("take-down", Status.WITHDRAWN, 404),
        ("reopen", Status.PENDING, 404),
        ("turn-down", Status.WITHDRAWN, 404),
    ):
        assert decide(inside, listing.id, decision).status_code == 303, decision
        assert status(app, listing.id) is after
        assert public.get(f"/listings/{listing.id}").status_code == found


def test_who_decides_later_changes_nothing(
    app: Flask, inside: FlaskClient, make_listing: MakeListing
) -> None:
    listing = make_listing(status=Status.PENDING)
    seen = key(inside.get(f"/admin/listings/{listing.id}").text)
    with app.app_context():
        assert Listing.move(listing.id, Status.PENDING, Status.WITHDRAWN)
    answer = inside.post(f"/admin/listings/{listing.id}", data={"decision": "publish", "csrf_token": seen})
    assert answer.status_code == 409
    assert "it is withdrawn now" in answer.text
    assert status(app, listing.id) is Status.WITHDRAWN


def test_nonsense_is_refused(inside: FlaskClient, make_listing: MakeListing) -> None:
    listing = make_listing(status=Status.PENDING)
    assert decide(inside, listing.id, "delete").status_code == 400
    seen = key(inside.get("/admin/").text)
    data = {"decision": "publish", "csrf_token": seen}
    assert inside.post(f"/admin/listings/{listing.id + 1}", data=data).status_code == 404
    assert inside.get(f"/admin/listings/{listing.id + 1}").status_code == 404
    assert inside.get(f"/admin/photos/{'0' * 32}-large.jpg").status_code == 404


def test_messages_are_read_and_put_away(app: Flask, inside: FlaskClient) -> None:
    with app.app_context():
        db.session.add(Message(name="Ada <b>", email="ada&x@example.com", text="<i>Hello</i>"))
        db.session.commit()
        number = db.session.scalar(select(Message.id))
    page = inside.get("/admin/messages").text
    assert "Ada &lt;b&gt;" in page
    assert "&lt;i&gt;Hello" in page
    assert 'href="mailto:ada%26x%40example.com"' in page
    for _ in range(2):
        answer = inside.post(f"/admin/messages/{number}", data={"csrf_token": key(page)})
        assert answer.status_code == 303
    assert "Nobody has written." in inside.get("/admin/messages").text


# --- Accounts ----------------------------------------------------------------------------------


def test_accounts_are_made_on_the_command_line(runner: FlaskCliRunner) -> None:
    def run(*args: str) -> str:
        result = runner.invoke(args=["moderators", *args])
        return f"{result.exit_code}: {result.output}"

    assert "0: " in run("add", "ada", "--password", PASSWORD)
    assert "1: Error: There is a moderator ada already." in run("add", "ada", "--password", PASSWORD)
    assert "12 characters at least" in run("add", "bob", "--password", "short")
    assert "1 to 64 characters" in run("add", " ", "--password", PASSWORD)
    assert "There is no moderator bob." in run("password", "bob", "--password", PASSWORD)
    assert "There is no moderator bob." in run("remove", "bob")
    assert run("list").endswith("  ada\n")
    assert PASSWORD not in run("list")


def test_a_password_is_asked_for(runner: FlaskCliRunner) -> None:
    result = runner.invoke(args=["moderators", "add", "ada"], input=f"{PASSWORD}\n{PASSWORD}\n")
    assert result.exit_code == 0
    assert PASSWORD not in result.output
