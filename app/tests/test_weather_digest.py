"""The digest: one mail per subscriber and day, also after failures."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fake_mail import FakeMailServer, create_certificate, run_server
from flask import Flask
from sqlalchemy import select

from harbour import mail
from harbour.extensions import db
from harbour.models import now
from harbour.weather import digest, reports, subscribers
from harbour.weather.models import Delivery, Report, State, Subscriber
from harbour_fakes import openweathermap

NUMBER = 8
SUBSCRIBERS = [f"reader-{n}@example.com" for n in range(NUMBER)]
ONE_EACH = Counter(SUBSCRIBERS)


@pytest.fixture
def mail_server() -> Iterator[tuple[FakeMailServer, int]]:
    """Run a stub of a mail server, and yield the stub and its port."""
    with run_server() as server:
        yield server


MakeApp = Callable[..., Flask]


@pytest.fixture
def make_app(fresh_app: MakeApp, tmp_path: Path, monkeypatch) -> MakeApp:
    """Return a function that creates an application with reports and subscribers."""
    monkeypatch.setattr(digest, "ROUNDS", (0, 0, 0))

    def settings(port: int) -> dict[str, str]:
        return {
            "DATABASE_URL": f"sqlite:///{tmp_path / 'fresh.db'}",
            "SECRET_KEY": "test",
            "OPENWEATHERMAP_KEY": "key",
            "HARBOUR_WEATHER_URL": "http://127.0.0.1:1",
            "HARBOUR_WEATHER_TOWNS": "Cobh; Nain",
            "HARBOUR_URL": "https://homes.example",
            "HARBOUR_TIMEZONE": "Europe/Dublin",
            "SMTP_URL": f"smtp://127.0.0.1:{port}",
            "HARBOUR_MAIL_FROM": "portal@homes.example",
            "HARBOUR_MAIL_TO": "hall@town.example",
        }

    def create(port: int, **more: Any) -> Flask:
        app = fresh_app(**{**settings(port), **more})
        with app.app_context():
            db.create_all()
            for town in ("Cobh", "Nain"):
                db.session.add(report(town))
            for email in SUBSCRIBERS:
                db.session.add(subscriber(email))
            db.session.add(subscriber("waiting@example.com", confirmed_at=None))
            db.session.commit()
        return app

    create.settings = settings
    return create


def report(town: str, **more: Any) -> Report:
    texts = (openweathermap.current(town), openweathermap.forecast(town))
    values = {
        "town": town.lower(),
        "current_json": json.dumps(texts[0]),
        "current_at": now(),
        "forecast_json": json.dumps(texts[1]),
        "forecast_at": now(),
        "requested_at": now(),
    }
    return Report(**{**values, **more})


def subscriber(email: str, **more: Any) -> Subscriber:
    values = {
        "email": email,
        "town": "cobh",
        "units": "metric",
        "link_key": "k" * 32,
        "confirmed_at": now(),
    }
    return Subscriber(**{**values, **more})


def run(app: Flask, *args: str) -> Any:
    return app.test_cli_runner().invoke(args=["weather", "digest", *args])


def states(app: Flask) -> Counter[State]:
    with app.app_context():
        return Counter(db.session.scalars(select(Delivery.state)))


# --- Content -------------------------------------------------------------------------------------


def test_confirmed_subscribers_get_one_digest(make_app: MakeApp, mail_server) -> None:
    box, port = mail_server
    app = make_app(port)
    result = run(app)
    assert (result.exit_code, "mailed 8 digests" in result.output) == (0, True), result.output
    assert box.received() == ONE_EACH
    result = run(app)
    assert (result.exit_code, "mailed no digests" in result.output) == (0, True), result.output
    assert box.received() == ONE_EACH
    assert states(app) == {State.SENT: NUMBER}


def test_digest_content_and_headers(make_app: MakeApp, mail_server) -> None:
    box, port = mail_server
    app = make_app(port)
    with app.app_context():
        db.session.add(subscriber("nan@example.com", town="nain", units="imperial"))
        db.session.add(subscriber("gone@example.com", town="a removed town"))
        db.session.commit()
        today = reports.local().date()
    run(app)
    by_recipient = {message["To"]: message for message in box.messages}
    first, other = by_recipient[SUBSCRIBERS[0]], by_recipient["nan@example.com"]
    assert first["Subject"].startswith("Cobh, ")
    assert str(today.year) in first["Subject"]
    assert "°C" in first.get_content()
    assert other["Subject"].startswith("Nain, ")
    assert "°F" in other.get_content()
    assert "°C" not in other.get_content()
    assert by_recipient["gone@example.com"]["Subject"].startswith("Cobh, ")
    text = first.get_content().replace("\r\n", "\n")
    assert len(re.findall(r"^\w+day, \d+ \w+ \d{4}$", text, re.MULTILINE)) == 5, text
    assert "https://homes.example/weather/?town=cobh&units=metric" in text
    assert "None" not in text
    assert "\n\n\n" not in text

    # One-click unsubscription (RFC 2369 and RFC 8058).
    url = re.fullmatch(r"<(https://homes\.example/weather/digest/leave\?\S+)>", first["List-Unsubscribe"])
    assert url, first["List-Unsubscribe"]
    for raw in box.raw:
        # Not encoded and on one line, because mail programs do not decode this header.
        assert re.search(rb"^List-Unsubscribe: <https://[!-~]+>\r$", raw, re.MULTILINE), raw
    assert first["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert url[1] in text
    assert len({message["List-Unsubscribe"] for message in box.messages}) == len(box.messages)
    assert len({message["Message-ID"] for message in box.messages}) == len(box.messages)
    path = url[1].removeprefix("https://homes.example")
    response = app.test_client().post(path, data={"List-Unsubscribe": "One-Click"})
    assert response.status_code == 200
    with app.app_context():
        assert subscribers.Subscriber.query.filter_by(email=SUBSCRIBERS[0]).count() == 0


def test_non_ascii_town_is_encoded_in_headers(make_app: MakeApp, mail_server) -> None:
    box, port = mail_server
    name = "Ny-Ålesund på Spitsbergen ved Kongsfjorden, øst for havna"
    app = make_app(port, HARBOUR_WEATHER_TOWNS=f"{name}=78.9,11.9; Cobh")
    with app.app_context():
        first = db.session.get_one(Report, "cobh")
        first.town = app.extensions["weather"][0].slug
        for one in db.session.scalars(select(Subscriber)):
            one.town = first.town
        db.session.commit()
    run(app)
    assert box.messages[0]["Subject"].startswith(f"{name}, ")
    for line in box.raw[0].partition(b"\r\n\r\n")[0].split(b"\r\n"):
        assert line.isascii()
        assert len(line) <= 78 or line.startswith(b"List-Unsubscribe: <https://"), line


def test_lines_with_dots_are_escaped(make_app: MakeApp, mail_server) -> None:
    box, port = mail_server
    app = make_app(port)
    with app.app_context(), mail.connection() as server:
        message = mail.compose("a@example.com", "Dots", ".\n..\n.end\nno\n.\n", "dots")
        assert mail.send_confirmed(server, message, lambda: True)
    assert box.messages[0].get_content().split() == [".", "..", ".end", "no", "."]


def test_digest_states_age_of_forecast_up_to_limit(make_app: MakeApp, mail_server) -> None:
    box, port = mail_server
    app = make_app(port)
    with app.app_context():
        for one in db.session.scalars(select(Report)):
            one.forecast_at = now() - timedelta(hours=13)
        db.session.commit()
    result = run(app)
    assert result.exit_code == 1
    assert "8 digests could not be mailed" in result.output
    assert box.messages == []
    with app.app_context():
        for one in db.session.scalars(select(Report)):
            one.forecast_at = now() - timedelta(hours=3)
        db.session.commit()
    assert run(app).exit_code == 0
    assert box.received() == ONE_EACH, "expected the next run to send all digests"
    assert "has not answered since" in box.messages[0].get_content()


def test_sending_hours_are_in_time_zone_of_site(make_app: MakeApp, mail_server, monkeypatch) -> None:
    box, port = mail_server
    app = make_app(port)
    zone = app.config["HARBOUR_TIMEZONE"]
    for at, expected in (("05:59", 0), ("12:01", 0), ("06:00", NUMBER)):
        moment = datetime.fromisoformat(f"2026-07-01T{at}").replace(tzinfo=zone)
        monkeypatch.setattr(reports, "local", lambda _=None, moment=moment: moment)
        result = run(app, "--from", "06:00", "--until", "12:00")
        assert result.exit_code == 0
        assert len(box.messages) == expected, result.output


def test_digest_is_sent_once_per_day(make_app: MakeApp, mail_server) -> None:
    box, port = mail_server
    app = make_app(port)
    with app.app_context():
        today = reports.local().date()
        for day in (today, today + timedelta(days=1), today):
            digest.send(day)
        assert box.received() == Counter(SUBSCRIBERS * 2)
        digest.clean_up(today + timedelta(days=31))
        assert {one.day for one in db.session.scalars(select(Delivery))} == {today + timedelta(days=1)}


@pytest.mark.parametrize("missing", ["OPENWEATHERMAP_KEY", "SMTP_URL", "HARBOUR_URL"])
def test_digest_without_setting_fails(make_app: MakeApp, mail_server, missing: str) -> None:
    app = make_app(mail_server[1])
    app.config[missing] = ""
    result = run(app)
    assert result.exit_code == 1
    assert missing in result.output


# --- Failures ------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["rcpt", "complete"])
@pytest.mark.parametrize("reply", ["451 Not now", "550 Never", "421 Too many"])
def test_rejected_digest_is_retried(make_app: MakeApp, mail_server, stage: str, reply: str) -> None:
    box, port = mail_server
    app = make_app(port)
    rejections: Counter[str] = Counter()

    def on_stage(current_stage: str, recipient: str) -> str | None:
        if current_stage == stage and recipient in SUBSCRIBERS[2:4] and rejections[recipient] < 2:
            rejections[recipient] += 1
            return reply
        return None

    box.on_stage = on_stage
    # Temporary errors are retried by the same run, permanent ones by the next runs.
    results = [run(app) for _ in range(3 if reply.startswith("5") else 1)]
    assert [result.exit_code for result in results] == [1, 1, 0][-len(results) :]
    assert box.received() == ONE_EACH
    assert rejections == {SUBSCRIBERS[2]: 2, SUBSCRIBERS[3]: 2}


def test_digest_is_given_up_after_three_rejections(make_app: MakeApp, mail_server) -> None:
    box, port = mail_server
    app = make_app(port)
    attempts: Counter[str] = Counter()

    def on_stage(current_stage: str, recipient: str) -> str | None:
        if current_stage == "rcpt" and recipient == SUBSCRIBERS[0]:
            attempts[recipient] += 1
            return "550 Unknown"
        return None

    box.on_stage = on_stage
    results = [run(app) for _ in range(4)]
    assert [result.exit_code for result in results] == [1, 1, 0, 0]
    assert "1 given up: rejected 3 times today" in results[-1].output
    assert attempts == {SUBSCRIBERS[0]: 3}
    assert box.received() == ONE_EACH - Counter(SUBSCRIBERS[:1])


def test_temporary_errors_are_retried_without_limit(make_app: MakeApp, mail_server) -> None:
    box, port = mail_server
    app = make_app(port)
    box.on_stage = lambda stage, _recipient: "451 Too busy" if stage == "rcpt" else None
    for _ in range(6):
        result = run(app)
        assert result.exit_code == 1
        assert "8 digests could not be mailed" in result.output
    box.on_stage = lambda _stage, _recipient: None
    assert run(app).exit_code == 0
    assert box.received() == ONE_EACH


def test_rejected_sender_does_not_count_for_recipients(make_app: MakeApp, mail_server) -> None:
    box, port = mail_server
    app = make_app(port)
    box.on_stage = lambda stage, _recipient: "550 Unknown sender" if stage == "mail" else None
    for _ in range(5):
        assert run(app).exit_code == 1
    box.on_stage = lambda _stage, _recipient: None
    assert run(app).exit_code == 0
    assert box.received() == ONE_EACH


def test_run_stops_after_two_messages_without_reply(make_app: MakeApp, mail_server) -> None:
    box, port = mail_server
    app = make_app(port)
    box.on_stage = lambda stage, _recipient: "hang up" if stage == "complete" else None
    result = run(app)
    assert result.exit_code == 1
    assert "The mail server does not respond" in result.output
    assert states(app) == {State.SENDING: digest.MAX_UNANSWERED}
    box.on_stage = lambda _stage, _recipient: None
    run(app)
    assert box.received() == ONE_EACH - Counter(SUBSCRIBERS[: digest.MAX_UNANSWERED])


def test_unreachable_mail_server_is_retried(make_app: MakeApp, mail_server) -> None:
    box, port = mail_server
    app = make_app(port)
    app.config["SMTP_URL"] = "smtp://127.0.0.1:1"
    result = run(app)
    assert result.exit_code == 1
    assert "The mail server does not respond" in result.output
    assert states(app) == {}
    app.config["SMTP_URL"] = f"smtp://127.0.0.1:{port}"
    assert run(app).exit_code == 0
    assert box.received() == ONE_EACH


def test_digest_without_reply_is_reported_and_not_repeated(make_app: MakeApp, mail_server) -> None:
    """The server closes the connection after the final line of a message."""
    box, port = mail_server
    app = make_app(port)
    box.on_stage = lambda stage, recipient: (
        "hang up" if stage == "complete" and recipient == SUBSCRIBERS[1] else None
    )
    result = run(app)
    assert result.exit_code == 0
    assert "1 with unknown delivery" in result.output
    assert box.received() == ONE_EACH - Counter([SUBSCRIBERS[1]])
    box.on_stage = lambda _stage, _recipient: None
    assert "1 with unknown delivery" in run(app).output
    assert box.received() == ONE_EACH - Counter([SUBSCRIBERS[1]])


def test_unsubscribed_during_run_gets_no_digest(make_app: MakeApp, mail_server) -> None:
    box, port = mail_server
    app = make_app(port)

    def on_stage(stage: str, recipient: str) -> None:
        if (stage, recipient) == ("data", SUBSCRIBERS[3]):
            with app.app_context():
                db.session.delete(db.session.query(Subscriber).filter_by(email=recipient).one())
                db.session.commit()

    box.on_stage = on_stage
    assert run(app).exit_code == 0
    assert box.received() == ONE_EACH - Counter([SUBSCRIBERS[3]])


def test_new_subscription_gets_no_second_digest(make_app: MakeApp, mail_server) -> None:
    box, port = mail_server
    app = make_app(port)
    run(app)
    with app.app_context():
        db.session.delete(db.session.query(Subscriber).filter_by(email=SUBSCRIBERS[0]).one())
        db.session.commit()
        db.session.add(subscriber(SUBSCRIBERS[0]))
        db.session.commit()
    run(app)
    assert box.received() == ONE_EACH


def test_deliveries_contain_no_addresses(make_app: MakeApp, mail_server) -> None:
    app = make_app(mail_server[1])
    run(app)
    with app.app_context():
        for one in db.session.scalars(select(Delivery)):
            assert re.fullmatch("[0-9a-f]{64}", one.recipient)


# --- Interrupted and concurrent runs -------------------------------------------------------------

COMMAND = [sys.executable, "-m", "flask", "--app", "wsgi", "weather", "digest"]


def start_run(make_app: MakeApp, port: int) -> subprocess.Popen[str]:
    """Start a run in a separate process."""
    return subprocess.Popen(  # noqa: S603 (constant command)
        COMMAND,
        cwd=Path(__file__).parents[1],
        env={**os.environ, **make_app.settings(port)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize("stage", ["rcpt", "data", "complete", "stored"])
def test_killed_run_sends_no_digest_twice(make_app: MakeApp, mail_server, stage: str) -> None:
    """Sends SIGKILL before a message, within it, and before and after the server stores it."""
    box, port = mail_server
    app = make_app(port)
    runs: list[subprocess.Popen[str]] = []
    killed: list[str] = []

    def on_stage(current_stage: str, recipient: str) -> None:
        if (
            current_stage == stage
            and recipient in (SUBSCRIBERS[2], SUBSCRIBERS[5])
            and recipient not in killed
        ):
            killed.append(recipient)
            runs[-1].send_signal(signal.SIGKILL)
            runs[-1].wait()

    box.on_stage = on_stage
    for _ in range(3):
        runs.append(start_run(make_app, port))
        runs[-1].communicate(timeout=30)
    assert [one.returncode for one in runs] == [-signal.SIGKILL, -signal.SIGKILL, 0]
    assert killed == [SUBSCRIBERS[2], SUBSCRIBERS[5]]
    assert box.received() == ONE_EACH, f"found {box.received()}, expected each once"
    unknown = 2 if stage in {"complete", "stored"} else 0
    assert states(app) == Counter({State.SENT: NUMBER - unknown, State.SENDING: unknown})


def test_concurrent_runs_send_each_digest_once(make_app: MakeApp, mail_server) -> None:
    box, port = mail_server
    app = make_app(port)
    barrier = threading.Barrier(2)
    results: list[digest.Outcome] = []

    def work() -> None:
        with app.app_context():
            barrier.wait()
            results.append(digest.send(reports.local().date()))

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert box.received() == ONE_EACH
    assert sum(result.sent for result in results) == NUMBER
    assert states(app) == {State.SENT: NUMBER}


def test_run_without_claim_does_not_finish_message(make_app: MakeApp, mail_server) -> None:
    """Another run claims the delivery before this run sends the final line."""
    box, port = mail_server
    app = make_app(port)
    with app.app_context():
        day = reports.local().date()
        [one] = db.session.scalars(select(Subscriber).where(Subscriber.email == SUBSCRIBERS[0]))
        number = one.id

    def on_stage(stage: str, recipient: str) -> None:
        if (stage, recipient) == ("data", SUBSCRIBERS[0]):
            with app.app_context():
                assert digest._claim(day, digest.recipient_hash(recipient), number)

    box.on_stage = on_stage
    run(app)
    assert box.received() == ONE_EACH - Counter([SUBSCRIBERS[0]])
    assert states(app) == {State.SENT: NUMBER - 1, State.SENDING: 1}


def test_failure_does_not_change_state_of_other_run(make_app: MakeApp, mail_server) -> None:
    box, port = mail_server
    app = make_app(port)
    with app.app_context():
        day = reports.local().date()
        [one] = db.session.scalars(select(Subscriber).where(Subscriber.email == SUBSCRIBERS[0]))
        number = one.id

    def on_stage(stage: str, recipient: str) -> str | None:
        if (stage, recipient) == ("rcpt", SUBSCRIBERS[0]):
            with app.app_context():
                digest._claim(day, digest.recipient_hash(recipient), number)
            return "451 Not now"
        return None

    box.on_stage = on_stage
    run(app)
    box.on_stage = lambda _stage, _recipient: None
    run(app)
    assert box.received() == ONE_EACH - Counter([SUBSCRIBERS[0]]), (
        "expected the claim of the other run to remain"
    )


# --- TLS -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("trusted", [True, False])
def test_certificate_of_mail_server_is_verified(
    make_app: MakeApp, tmp_path: Path, monkeypatch, trusted: bool
) -> None:
    certificate, context = create_certificate(tmp_path)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with run_server(context) as (box, port):
        app = make_app(port)
        app.config["SMTP_URL"] = f"smtp+tls://127.0.0.1:{port}"
        result = run(app)
        if trusted:
            assert result.exit_code == 0, result.output
            assert box.received() == ONE_EACH
        else:
            assert result.exit_code == 1
            assert "certificate verify failed" in result.output
            assert box.messages == []
