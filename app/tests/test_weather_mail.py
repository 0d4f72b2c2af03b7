"""The weather by e-mail: to ask for it, to confirm, to leave."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from itsdangerous import URLSafeTimedSerializer
from postoffice import PostOffice, link, opened
from sqlalchemy import event, select

from harbour.extensions import db
from harbour.weather import subscribers
from harbour.weather.models import Subscriber

ADA = "ada@example.com"
Portal = tuple[Flask, PostOffice]


@pytest.fixture
def portal(fresh_app: Callable[..., Flask]) -> Iterator[Portal]:
    """A portal that offers the weather by e-mail, and its mail server."""
    with opened() as (office, port):
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
        yield app, office


def ask(app: Flask, client: FlaskClient | None = None, **fields: str) -> tuple[int, str]:
    """Send the form, and return the answer's status and where it leads."""
    client, base = client or app.test_client(), "http://evil.example"
    page = client.get("/weather/digest", base_url=base).text
    key = re.search(r'name="csrf_token" type="hidden" value="(.*?)"', page)[1]
    data = {"email": ADA, "town": "nain", "units": "imperial", "csrf_token": key, **fields}
    answer = client.post("/weather/digest", data=data, base_url=base, buffered=True)
    return answer.status_code, answer.location or answer.text


def kept(app: Flask) -> list[tuple[str, str, str, bool]]:
    with app.app_context():
        return [
            (one.email, one.town, one.units, one.confirmed_at is not None)
            for one in db.session.scalars(select(Subscriber).order_by(Subscriber.id))
        ]


def age(app: Flask, gone: timedelta) -> None:
    """Make what is kept older."""
    with app.app_context():
        for one in db.session.scalars(select(Subscriber)):
            one.asked_at = one.asked_at and one.asked_at - gone
            one.created_at -= gone
        db.session.commit()


def confirmed(app: Flask, office: PostOffice, **fields: str) -> str:
    """Subscribe, and return the link of the mail."""
    ask(app, **fields)
    path = link(office.messages[-1])
    assert app.test_client().post(path).status_code == 200
    return path


@pytest.mark.parametrize("missing", ["OPENWEATHERMAP_KEY", "SMTP_URL", "HARBOUR_URL"])
def test_without_its_settings_there_is_none(portal: Portal, missing: str) -> None:
    app, _ = portal
    assert "Get it by e-mail" in app.test_client().get("/weather/").text
    app.config[missing] = None
    client = app.test_client()
    answer = client.get("/weather/digest")
    assert answer.status_code == 200
    assert "There is none at the moment" in answer.text
    assert "<form" not in answer.text
    assert "Set-Cookie" not in answer.headers
    app.config["WTF_CSRF_ENABLED"] = False
    assert client.post("/weather/digest", data={"email": ADA}).status_code == 404
    assert "Get it by e-mail" not in client.get("/weather/").text


def test_nothing_is_subscribed_before_it_is_confirmed(portal: Portal) -> None:
    app, office = portal
    assert ask(app) == (303, "/weather/digest/asked")
    assert "Look into your mail" in app.test_client().get("/weather/digest/asked").text
    assert kept(app) == [(ADA, "nain", "imperial", False)]
    [message] = office.messages
    assert (message["To"], message["From"]) == (ADA, "portal@homes.example")
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"]
    # The host that a visitor names is nobody's.
    assert "evil" not in message.get_content()

    path = link(message)
    client = app.test_client()
    page = client.get(path)
    assert page.headers["Cache-Control"] == "private, no-store"
    assert "noindex" in page.text
    assert "Set-Cookie" not in page.headers
    assert f'action="{path}"' in page.text
    client.head(path)
    assert not kept(app)[0][3], "expected a program that follows the link to change nothing"

    answer = client.post(path)  # no key of a form, no cookie
    assert answer.status_code == 200
    assert "You are on the list" in answer.text
    assert kept(app) == [(ADA, "nain", "imperial", True)]
    assert client.post(path).status_code == 200, "expected a second click to do no harm"


@pytest.mark.parametrize("path", ["/weather/digest/confirm", "/weather/digest/leave"])
def test_links_that_are_not_ours(portal: Portal, path: str) -> None:
    app, office = portal
    client = app.test_client()
    good = confirmed(app, office).partition("token=")[2]
    with app.app_context():
        [one] = db.session.scalars(select(Subscriber))
        leaving = subscribers.leaving(one).partition("token=")[2]
        other = {"weather confirm": leaving, "weather leave": good}
        wrong = other["weather leave" if path.endswith("leave") else "weather confirm"]
        odd = [
            str(URLSafeTimedSerializer("another key", salt=salt).dumps([one.id, one.link_key]))
            for salt in other
        ]
        odd += [
            str(URLSafeTimedSerializer("test", salt=salt).dumps(value))
            for salt in other
            for value in (7, [], [1], None, [one.id, "guess"], [one.id, "guess", "cobh", "metric"])
        ]
    for token in ("", "x", wrong, good[:-2], "A" * 9000, "%00", "%ff", *odd):
        for answer in (
            client.get(f"{path}?token={token}"),
            client.post(f"{path}?token={token}"),
        ):
            assert answer.status_code == 404, f"expected {token} to be refused"
            assert "not whole" in answer.text or "too old" in answer.text
    assert kept(app) == [(ADA, "nain", "imperial", True)]


def test_a_link_that_confirms_expires(portal: Portal, monkeypatch) -> None:
    app, office = portal
    ask(app)
    path = link(office.messages[0])
    monkeypatch.setattr(subscribers, "VALID", timedelta(seconds=-1))
    answer = app.test_client().post(path)
    assert answer.status_code == 404
    assert "too old" in answer.text
    assert not kept(app)[0][3]


# --- Nobody learns who is on the list ------------------------------------------------------------


def test_whoever_asks_is_answered_alike(portal: Portal) -> None:
    app, office = portal
    seen: list[str] = []
    confirmed(app, office, email="known@example.com")
    ask(app, email="waiting@example.com")
    age(app, timedelta(hours=2))
    office.messages.clear()
    with app.app_context():
        event.listen(db.engine, "before_cursor_execute", lambda *args: seen.append(args[2]))
    answers, statements, texts = [], [], []
    for email in ("known@example.com", "waiting@example.com"):
        seen.clear()
        answers.append(ask(app, email=email))
        statements.append(list(seen))
        texts.append(re.sub(r"token=\S+", "", office.messages[-1].get_content()))
    assert answers[0] == answers[1] == ask(app, email="new@example.com")
    assert statements[0] == statements[1]
    assert texts[0] == texts[1] == re.sub(r"token=\S+", "", office.messages[-1].get_content())
    assert [message["To"] for message in office.messages] == [
        *("known@example.com", "waiting@example.com", "new@example.com")
    ]


def test_the_mail_is_sent_when_the_visitor_has_the_answer(portal: Portal) -> None:
    app, office = portal
    client = app.test_client()
    page = client.get("/weather/digest").text
    key = re.search(r'name="csrf_token" type="hidden" value="(.*?)"', page)[1]
    data = {"email": ADA, "town": "cobh", "units": "metric", "csrf_token": key}
    answer = client.post("/weather/digest", data=data)
    assert answer.status_code == 303
    assert office.messages == [], "expected no time of the mail server's in the answer"
    answer.close()
    assert len(office.messages) == 1


def test_nobody_changes_what_another_one_gets(portal: Portal) -> None:
    app, office = portal
    confirmed(app, office)
    age(app, timedelta(hours=2))
    ask(app, town="cobh", units="metric")
    assert kept(app) == [(ADA, "nain", "imperial", True)]
    app.test_client().post(link(office.messages[-1]))
    assert kept(app) == [(ADA, "cobh", "metric", True)]


def test_an_address_gets_one_mail_an_hour(portal: Portal) -> None:
    app, office = portal
    for email in (ADA, ADA, "ADA@Example.com"):
        assert ask(app, email=email) == (303, "/weather/digest/asked")
    assert len(office.messages) == 1
    age(app, timedelta(minutes=61))
    ask(app)
    assert len(office.messages) == 2
    assert len(kept(app)) == 1


def test_a_visitor_cannot_ask_without_end(portal: Portal) -> None:
    app, office = portal
    got = [ask(app, email=f"a{n}@example.com")[0] for n in range(11)]
    assert got == [303] * 10 + [429]
    assert len(office.messages) == 10


def test_what_the_mail_server_refuses_can_be_asked_for_at_once(portal: Portal) -> None:
    app, office = portal
    office.at = lambda _stage, _recipient: "451 Not now"
    assert ask(app) == (303, "/weather/digest/asked")
    office.at = lambda _stage, _recipient: None
    ask(app)
    assert len(office.messages) == 1


@pytest.mark.parametrize(
    "email",
    [
        *("", "ada", "a@example", "a,b@example.com", "a b@example.com", "a(b)@example.com"),
        *("a@b@example.com", "é@example.com", '"a"@b.com', "a" * 65 + "@b.com"),
        "a@example.com\r\nBcc: b@example.com",
    ],
)
def test_addresses_that_cannot_be(portal: Portal, email: str) -> None:
    app, office = portal
    status, page = ask(app, email=email)
    assert status == 422
    assert 'id="email-error"' in page
    assert (kept(app), office.messages) == ([], [])


def test_choices_that_are_none(portal: Portal) -> None:
    app, office = portal
    assert ask(app, town="nowhere")[0] == 422
    assert ask(app, units="kelvin")[0] == 422
    assert ask(app, csrf_token="")[0] == 400
    assert ask(app, website="https://spam.example") == (303, "/weather/digest/asked")
    assert (kept(app), office.messages) == ([], [])


def test_the_form_knows_what_was_looked_at(portal: Portal) -> None:
    page = portal[0].test_client().get("/weather/digest?town=nain&units=imperial").text
    assert '<option selected value="nain">' in page
    assert '<option selected value="imperial">' in page
    for control in re.findall(r"<(?:input|select)[^>]*>", page):
        name = re.search(r'id="(.*?)"', control)
        assert 'type="hidden"' in control or f'for="{name[1]}"' in page, control


# --- To leave ------------------------------------------------------------------------------------


def leaving(app: Flask) -> str:
    with app.app_context():
        [one] = db.session.scalars(select(Subscriber))
        return subscribers.leaving(one).removeprefix("https://homes.example")


def test_one_click_leaves_the_list(portal: Portal) -> None:
    app, office = portal
    confirmed(app, office)
    path = leaving(app)
    client = app.test_client()
    page = client.get(path)
    assert (page.status_code, page.headers["Cache-Control"]) == (200, "private, no-store")
    assert "Set-Cookie" not in page.headers
    assert len(kept(app)) == 1, "expected a program that follows the link to change nothing"
    # As RFC 8058 has it: no cookie, no key, no redirect.
    answer = app.test_client().post(
        path,
        data="List-Unsubscribe=One-Click",
        content_type="application/x-www-form-urlencoded",
    )
    assert answer.status_code == 200
    assert "No more mail" in answer.text
    assert kept(app) == []
    assert client.post(path).status_code == 200, "expected a second click to be answered alike"


def test_who_has_left_stays_away(portal: Portal) -> None:
    app, office = portal
    old = confirmed(app, office)
    path = leaving(app)
    client = app.test_client()
    client.post(path)
    assert client.post(old).status_code == 404, "expected the link that confirmed to be spent"
    assert kept(app) == []
    confirmed(app, office)
    client.post(path)
    assert len(kept(app)) == 1, "expected the link of before to end nothing but what was before"


def test_who_never_confirms_is_forgotten(portal: Portal) -> None:
    app, office = portal
    ask(app, email="never@example.com")
    confirmed(app, office)
    age(app, timedelta(days=8))
    ask(app, email="late@example.com")
    with app.app_context():
        assert subscribers.forget() == 1
    assert [one[0] for one in kept(app)] == [ADA, "late@example.com"]
