"""The contact form and its mails."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import AsyncMessage
from aiosmtpd.smtp import AuthResult
from conftest import MakeListing
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from harbour import mail
from harbour.contact import send_by_mail
from harbour.extensions import db
from harbour.models import Message, Status

GOOD = {"name": "Ada Byrne", "email": "ada@example.com", "text": "Is the\r\nstove new?"}


def token(client: FlaskClient, path: str = "/contact") -> str:
    return re.search(r'name="csrf_token" type="hidden" value="(.*?)"', client.get(path).text)[1]


def stored(app: Flask) -> list[Message]:
    with app.app_context():
        return list(db.session.scalars(select(Message).order_by(Message.id)))


def test_message_is_stored(app: Flask, client: FlaskClient) -> None:
    response = client.post("/contact", data={**GOOD, "csrf_token": token(client)})
    assert (response.status_code, response.location) == (303, "/contact/thanks")
    assert "Your message is with us" in client.get(response.location).text
    [message] = stored(app)
    assert (message.name, message.email) == ("Ada Byrne", "ada@example.com")
    assert message.text == "Is the\nstove new?"
    assert (message.listing_id, message.mailed_at, message.done_at) == (None, None, None)


def test_message_refers_to_listing(app: Flask, client: FlaskClient, make_listing: MakeListing) -> None:
    listing = make_listing()
    assert f'href="/contact?listing={listing.id}"' in client.get(f"/listings/{listing.id}").text
    path = f"/contact?listing={listing.id}"
    page = client.get(path).text
    assert listing.reference in page
    assert f'action="{path}"' in page
    client.post(path, data={**GOOD, "csrf_token": token(client)})
    assert stored(app)[0].listing_id == listing.id


def test_form_ignores_unpublished_listing(client: FlaskClient, make_listing: MakeListing) -> None:
    pending = make_listing(status=Status.PENDING, title="Secret")
    for number in (pending.id, pending.id + 1, "x", "9" * 40, "-1", "٣", ""):
        page = client.get(f"/contact?listing={number}")
        assert page.status_code == 200
        assert "Secret" not in page.text
        assert "A clerk at the town hall" in page.text


@pytest.mark.parametrize("name", GOOD)
def test_missing_field_is_reported(app: Flask, client: FlaskClient, name: str) -> None:
    response = client.post("/contact", data={**GOOD, name: " ", "csrf_token": token(client)})
    assert response.status_code == 422
    assert f'id="{name}-error"' in response.text
    assert stored(app) == []


def test_message_with_filled_honeypot_is_not_stored(app: Flask, client: FlaskClient) -> None:
    data = {**GOOD, "website": "https://spam.example", "csrf_token": token(client)}
    assert client.post("/contact", data=data).status_code == 303
    assert stored(app) == []


def test_repeated_form_stores_one_message(app: Flask, client: FlaskClient) -> None:
    for _ in range(2):
        data = {**GOOD, "submission": "b" * 32, "csrf_token": token(client)}
        assert client.post("/contact", data=data).status_code == 303
    assert len(stored(app)) == 1


# --- Mail --------------------------------------------------------------------------------------


class Mailbox(AsyncMessage):
    """A mail server that stores or rejects messages."""

    def __init__(self) -> None:
        super().__init__(message_class=EmailMessage)
        self.messages: list[EmailMessage] = []
        self.reject = False

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 (name of aiosmtpd)
        if self.reject:
            return "451 Not now"
        self.messages.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"

    async def handle_message(self, message: EmailMessage) -> None:
        """Not used, because handle_DATA replaces it."""


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, str]]:
    """Run a mail server, and yield the server and its URL."""
    box = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    accounts = [(b"harbour", b"p@ss word")]

    def authenticate(_s: Any, _se: Any, _e: Any, _m: Any, data: Any) -> AuthResult:
        return AuthResult(success=(data.login, data.password) in accounts)

    controller = Controller(
        box,
        hostname="127.0.0.1",
        port=port,
        authenticator=authenticate,
        auth_require_tls=False,
    )
    controller.start()
    yield box, f"smtp://harbour:p%40ss%20word@127.0.0.1:{port}"
    controller.stop()


def create_mailing_app(fresh_app: Callable[..., Flask], url: str) -> Flask:
    app = fresh_app(
        SMTP_URL=url,
        HARBOUR_MAIL_FROM="portal@homes.example",
        HARBOUR_MAIL_TO="hall@town.example",
    )
    with app.app_context():
        db.create_all()
    return app


def test_message_is_mailed_once_with_clean_headers(fresh_app, mailbox) -> None:
    box, url = mailbox
    app = create_mailing_app(fresh_app, url)
    client = app.test_client()
    data = {**GOOD, "name": "Ada\r\nBcc: all@example.com", "csrf_token": token(client)}
    assert client.post("/contact", data=data).status_code == 303
    [message] = box.messages
    assert message["From"] == "portal@homes.example"
    assert message["To"] == "hall@town.example"
    assert message["Reply-To"] == "ada@example.com"
    assert message["Subject"] == "Harbour homes: Ada Bcc: all@example.com"
    assert message["Bcc"] is None
    assert "Is the\nstove new?" in message.get_content().replace("\r\n", "\n")
    assert stored(app)[0].mailed_at is not None
    with app.app_context():
        assert not send_by_mail(1)  # already sent
    assert len(box.messages) == 1


def test_rejected_message_is_stored_and_mailed_later(fresh_app, mailbox) -> None:
    box, url = mailbox
    app = create_mailing_app(fresh_app, url)
    client, runner = app.test_client(), app.test_cli_runner()
    box.reject = True
    data = {**GOOD, "csrf_token": token(client)}
    assert client.post("/contact", data=data).status_code == 303
    assert stored(app)[0].mailed_at is None
    failed = runner.invoke(args=["messages", "send"])
    assert failed.exit_code == 1
    assert "Mailed 0 of 1" in failed.output

    box.reject = False
    assert "Mailed 1 of 1" in runner.invoke(args=["messages", "send"]).output
    assert "Mailed 0 of 0" in runner.invoke(args=["messages", "send"]).output
    assert len(box.messages) == 1


@pytest.mark.parametrize("scheme", ["smtp", "smtp+tls", "smtps"])
def test_message_is_stored_while_mail_server_is_down(fresh_app, scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    app = create_mailing_app(fresh_app, f"{scheme}://127.0.0.1:{port}")
    client = app.test_client()
    data = {**GOOD, "csrf_token": token(client)}
    assert client.post("/contact", data=data).status_code == 303
    assert stored(app)[0].mailed_at is None


def test_login_without_starttls_support_fails(fresh_app, mailbox) -> None:
    box, url = mailbox
    app = create_mailing_app(fresh_app, url.replace("smtp:", "smtp+tls:"))  # not supported by this server
    with app.app_context(), pytest.raises(mail.MailError, match="STARTTLS"):
        mail.send("Subject", "text", "ada@example.com", "1")
    assert box.messages == []


def test_messages_send_without_smtp_url_fails(runner) -> None:
    result = runner.invoke(args=["messages", "send"])
    assert result.exit_code == 1
    assert "SMTP_URL is not set" in result.output
