"""The mailing list of the weather: subscribe, confirm, unsubscribe."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from fake_mail import FakeMailServer, link, run_server
from flask import Flask
from flask.testing import FlaskClient
from itsdangerous import URLSafeTimedSerializer
from sqlalchemy import event, select

from harbour.extensions import db
from harbour.weather import subscribers
from harbour.weather.models import Subscriber

ADA = "ada@example.com"
Portal = tuple[Flask, FakeMailServer]


@pytest.fixture
def portal(fresh_app: Callable[..., Flask]) -> Iterator[Portal]:
    """Return an application with the digest enabled, and its mail server."""
    with run_server() as (mail_server, port):
        app = fresh_app(
            OPENWEATHERMAP_KEY="key",
            HARBOUR_WEATHER_URL="http://127.0.0.1:1",
            HARBOUR_WEATHER_TOWNS="Cobh; Nain",
            HARBOUR_URL="https://homes.example/",
            SMTP_URL=f"smtp://127.0.0.1:{port}",
            HARBOUR_MAIL_FROM="portal@homes.example",
            HARBOUR_MAIL_TO="hall@town.example",
        )
        with app.app_context():
            db.create_all()
        yield app, mail_server


def subscribe(app: Flask, client: FlaskClient | None = None, **fields: str) -> tuple[int, str]:
    """Submit the form, and return status and location of the response."""
    client, base = client or app.test_client(), "http://evil.example"
    page = client.get("/weather/digest", base_url=base).text
    key = re.search(r'name="csrf_token" type="hidden" value="(.*?)"', page)[1]
    data = {"email": ADA, "town": "nain", "units": "imperial", "csrf_token": key, **fields}
    response = client.post("/weather/digest", data=data, base_url=base, buffered=True)
    return response.status_code, response.location or response.text


def subscriptions(app: Flask) -> list[tuple[str, str, str, bool]]:
    with app.app_context():
        return [
            (one.email, one.town, one.units, one.confirmed_at is not None)
            for one in db.session.scalars(select(Subscriber).order_by(Subscriber.id))
        ]


def age_subscribers(app: Flask, by: timedelta) -> None:
    """Make all subscribers older."""
    with app.app_context():
        for one in db.session.scalars(select(Subscriber)):
            one.requested_at = one.requested_at and one.requested_at - by
            one.created_at -= by
        db.session.commit()


def subscribe_and_confirm(app: Flask, mail_server: FakeMailServer, **fields: str) -> str:
    """Subscribe, and return the link in the mail."""
    subscribe(app, **fields)
    path = link(mail_server.messages[-1])
    assert app.test_client().post(path).status_code == 200
    return path


@pytest.mark.parametrize("missing", ["OPENWEATHERMAP_KEY", "SMTP_URL", "HARBOUR_URL"])
def test_digest_without_setting_is_not_available(portal: Portal, missing: str) -> None:
    app, _ = portal
    assert "Get it by e-mail" in app.test_client().get("/weather/").text
    app.config[missing] = None
    client = app.test_client()
    response = client.get("/weather/digest")
    assert response.status_code == 200
    assert "This is not available at the moment" in response.text
    assert "<form" not in response.text
    assert "Set-Cookie" not in response.headers
    app.config["WTF_CSRF_ENABLED"] = False
    assert client.post("/weather/digest", data={"email": ADA}).status_code == 404
    assert "Get it by e-mail" not in client.get("/weather/").text


def test_subscription_needs_confirmation_by_button(portal: Portal) -> None:
    app, mail_server = portal
    assert subscribe(app) == (303, "/weather/digest/asked")
    assert "Look into your mail" in app.test_client().get("/weather/digest/asked").text
    assert subscriptions(app) == [(ADA, "nain", "imperial", False)]
    [message] = mail_server.messages
    assert (message["To"], message["From"]) == (ADA, "portal@homes.example")
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"]
    # Links use HARBOUR_URL instead of the Host header.
    assert "evil" not in message.get_content()

    path = link(message)
    client = app.test_client()
    page = client.get(path)
    assert page.headers["Cache-Control"] == "private, no-store"
    assert "noindex" in page.text
    assert "Set-Cookie" not in page.headers
    assert f'action="{path}"' in page.text
    client.head(path)
    assert not subscriptions(app)[0][3], "expected no change by following the link"

    response = client.post(path)  # without CSRF token and cookie
    assert response.status_code == 200
    assert "You are on the list" in response.text
    assert subscriptions(app) == [(ADA, "nain", "imperial", True)]
    assert client.post(path).status_code == 200, "expected a second click to succeed"


@pytest.mark.parametrize("path", ["/weather/digest/confirm", "/weather/digest/leave"])
def test_forged_links_return_404(portal: Portal, path: str) -> None:
    app, mail_server = portal
    client = app.test_client()
    valid = subscribe_and_confirm(app, mail_server).partition("token=")[2]
    with app.app_context():
        [one] = db.session.scalars(select(Subscriber))
        leave_token = subscribers.unsubscribe_url(one).partition("token=")[2]
        other = {"weather confirm": leave_token, "weather leave": valid}
        swapped = other["weather leave" if path.endswith("leave") else "weather confirm"]
        forged = [
            str(URLSafeTimedSerializer("another key", salt=salt).dumps([one.id, one.link_key]))
            for salt in other
        ]
        forged += [
            str(URLSafeTimedSerializer("test", salt=salt).dumps(value))
            for salt in other
            for value in (7, [], [1], None, [one.id, "guess"], [one.id, "guess", "cobh", "metric"])
        ]
    for token in ("", "x", swapped, valid[:-2], "A" * 9000, "%00", "%ff", *forged):
        for response in (
            client.get(f"{path}?token={token}"),
            client.post(f"{path}?token={token}"),
        ):
            assert response.status_code == 404, f"expected 404 for {token}"
            assert "not whole" in response.text or "too old" in response.text
    assert subscriptions(app) == [(ADA, "nain", "imperial", True)]


def test_confirmation_link_expires(portal: Portal, monkeypatch) -> None:
    app, mail_server = portal
    subscribe(app)
    path = link(mail_server.messages[0])
    monkeypatch.setattr(subscribers, "LINK_LIFETIME", timedelta(seconds=-1))
    response = app.test_client().post(path)
    assert response.status_code == 404
    assert "too old" in response.text
    assert not subscriptions(app)[0][3]


# --- Privacy of subscribers ----------------------------------------------------------------------


def test_response_and_mail_do_not_reveal_subscription(portal: Portal) -> None:
    app, mail_server = portal
    executed: list[str] = []
    subscribe_and_confirm(app, mail_server, email="known@example.com")
    subscribe(app, email="waiting@example.com")
    age_subscribers(app, timedelta(hours=2))
    mail_server.messages.clear()
    with app.app_context():
        event.listen(db.engine, "before_cursor_execute", lambda *args: executed.append(args[2]))
    responses, statements, texts = [], [], []
    for email in ("known@example.com", "waiting@example.com"):
        executed.clear()
        responses.append(subscribe(app, email=email))
        statements.append(list(executed))
        texts.append(re.sub(r"token=\S+", "", mail_server.messages[-1].get_content()))
    assert responses[0] == responses[1] == subscribe(app, email="new@example.com")
    assert statements[0] == statements[1]
    assert texts[0] == texts[1] == re.sub(r"token=\S+", "", mail_server.messages[-1].get_content())
    assert [message["To"] for message in mail_server.messages] == [
        *("known@example.com", "waiting@example.com", "new@example.com")
    ]


def test_mail_is_sent_after_response(portal: Portal) -> None:
    app, mail_server = portal
    client = app.test_client()
    page = client.get("/weather/digest").text
    key = re.search(r'name="csrf_token" type="hidden" value="(.*?)"', page)[1]
    data = {"email": ADA, "town": "cobh", "units": "metric", "csrf_token": key}
    response = client.post("/weather/digest", data=data)
    assert response.status_code == 303
    assert mail_server.messages == [], "expected no mail before the end of the response"
    response.close()
    assert len(mail_server.messages) == 1


def test_changed_subscription_needs_confirmation(portal: Portal) -> None:
    app, mail_server = portal
    subscribe_and_confirm(app, mail_server)
    age_subscribers(app, timedelta(hours=2))
    subscribe(app, town="cobh", units="metric")
    assert subscriptions(app) == [(ADA, "nain", "imperial", True)]
    app.test_client().post(link(mail_server.messages[-1]))
    assert subscriptions(app) == [(ADA, "cobh", "metric", True)]


def test_address_gets_one_mail_per_hour(portal: Portal) -> None:
    app, mail_server = portal
    for email in (ADA, ADA, "ADA@Example.com"):
        assert subscribe(app, email=email) == (303, "/weather/digest/asked")
    assert len(mail_server.messages) == 1
    age_subscribers(app, timedelta(minutes=61))
    subscribe(app)
    assert len(mail_server.messages) == 2
    assert len(subscriptions(app)) == 1


def test_subscribe_rate_limit_returns_429(portal: Portal) -> None:
    app, mail_server = portal
    got = [subscribe(app, email=f"a{n}@example.com")[0] for n in range(11)]
    assert got == [303] * 10 + [429]
    assert len(mail_server.messages) == 10


def test_rejected_mail_can_be_requested_again_at_once(portal: Portal) -> None:
    app, mail_server = portal
    mail_server.on_stage = lambda _stage, _recipient: "451 Not now"
    assert subscribe(app) == (303, "/weather/digest/asked")
    mail_server.on_stage = lambda _stage, _recipient: None
    subscribe(app)
    assert len(mail_server.messages) == 1


@pytest.mark.parametrize(
    "email",
    [
        *("", "ada", "a@example", "a,b@example.com", "a b@example.com", "a(b)@example.com"),
        *("a@b@example.com", "é@example.com", '"a"@b.com', "a" * 65 + "@b.com"),
        "a@example.com\r\nBcc: b@example.com",
    ],
)
def test_invalid_address_is_rejected(portal: Portal, email: str) -> None:
    app, mail_server = portal
    status, page = subscribe(app, email=email)
    assert status == 422
    assert 'id="email-error"' in page
    assert (subscriptions(app), mail_server.messages) == ([], [])


def test_invalid_choices_are_rejected(portal: Portal) -> None:
    app, mail_server = portal
    assert subscribe(app, town="nowhere")[0] == 422
    assert subscribe(app, units="kelvin")[0] == 422
    assert subscribe(app, csrf_token="")[0] == 400
    assert subscribe(app, website="https://spam.example") == (303, "/weather/digest/asked")
    assert (subscriptions(app), mail_server.messages) == ([], [])


def test_form_contains_town_and_units_of_query(portal: Portal) -> None:
    page = portal[0].test_client().get("/weather/digest?town=nain&units=imperial").text
    assert '<option selected value="nain">' in page
    assert '<option selected value="imperial">' in page
    for control in re.findall(r"<(?:input|select)[^>]*>", page):
        name = re.search(r'id="(.*?)"', control)
        assert 'type="hidden"' in control or f'for="{name[1]}"' in page, control


# --- Unsubscribing -------------------------------------------------------------------------------


def unsubscribe_path(app: Flask) -> str:
    with app.app_context():
        [one] = db.session.scalars(select(Subscriber))
        return subscribers.unsubscribe_url(one).removeprefix("https://homes.example")


def test_one_click_unsubscription_deletes_subscriber(portal: Portal) -> None:
    app, mail_server = portal
    subscribe_and_confirm(app, mail_server)
    path = unsubscribe_path(app)
    client = app.test_client()
    page = client.get(path)
    assert (page.status_code, page.headers["Cache-Control"]) == (200, "private, no-store")
    assert "Set-Cookie" not in page.headers
    assert len(subscriptions(app)) == 1, "expected no change by following the link"
    # RFC 8058: without cookie, CSRF token and redirect.
    response = app.test_client().post(
        path,
        data="List-Unsubscribe=One-Click",
        content_type="application/x-www-form-urlencoded",
    )
    assert response.status_code == 200
    assert "No more mail" in response.text
    assert subscriptions(app) == []
    assert client.post(path).status_code == 200, "expected a second click to succeed"


def test_old_links_do_not_affect_new_subscription(portal: Portal) -> None:
    app, mail_server = portal
    old = subscribe_and_confirm(app, mail_server)
    path = unsubscribe_path(app)
    client = app.test_client()
    client.post(path)
    assert client.post(old).status_code == 404, "expected the confirmation link to be invalid"
    assert subscriptions(app) == []
    subscribe_and_confirm(app, mail_server)
    client.post(path)
    assert len(subscriptions(app)) == 1, "expected the old link not to end the new subscription"


def test_unconfirmed_subscribers_are_deleted(portal: Portal) -> None:
    app, mail_server = portal
    subscribe(app, email="never@example.com")
    subscribe_and_confirm(app, mail_server)
    age_subscribers(app, timedelta(days=8))
    subscribe(app, email="late@example.com")
    with app.app_context():
        assert subscribers.delete_unconfirmed() == 1
    assert [one[0] for one in subscriptions(app)] == [ADA, "late@example.com"]
