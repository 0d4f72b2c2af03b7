"""Moderation pages and commands."""

from __future__ import annotations

import re

from conftest import MakeListing
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from moderators import PASSWORD, csrf_token
from sqlalchemy import select

from harbour.extensions import db
from harbour.models import Listing, Message, Status


def decide(client: FlaskClient, listing_id: int, decision: str):
    page = client.get(f"/admin/listings/{listing_id}").text
    data = {"decision": decision, "csrf_token": csrf_token(page)}
    return client.post(f"/admin/listings/{listing_id}", data=data)


def status(app: Flask, listing_id: int) -> Status:
    with app.app_context():
        return db.session.get(Listing, listing_id).status


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
