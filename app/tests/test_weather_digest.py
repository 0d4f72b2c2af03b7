"""The day's weather by e-mail: to everybody once, whatever happens on the way."""

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
from flask import Flask
from postoffice import PostOffice, certified, opened
from sqlalchemy import select

from harbour import mail
from harbour.extensions import db
from harbour.models import now
from harbour.weather import digest, reports, subscribers
from harbour.weather.models import Delivery, Report, State, Subscriber
from harbour_fakes import openweathermap

NUMBER = 8
EVERYBODY = [f"reader-{n}@example.com" for n in range(NUMBER)]
ONCE = Counter(EVERYBODY)


@pytest.fixture
def office() -> Iterator[tuple[PostOffice, int]]:
    """A mail server and its port."""
    with opened() as opened_office:
        yield opened_office


Make = Callable[..., Flask]


@pytest.fixture
def make(fresh_app: Make, tmp_path: Path, monkeypatch) -> Make:
    """Return a function that makes a portal with subscribers who wait for the day's weather."""
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

    def made(port: int, **more: Any) -> Flask:
        app = fresh_app(**{**settings(port), **more})
        with app.app_context():
            db.create_all()
            for town in ("Cobh", "Nain"):
                db.session.add(report(town))
            for email in EVERYBODY:
                db.session.add(subscriber(email))
            db.session.add(subscriber("waiting@example.com", confirmed_at=None))
            db.session.commit()
        return app

    made.settings = settings
    return made


def report(town: str, **more: Any) -> Report:
    texts = (openweathermap.current(town), openweathermap.forecast(town))
    values = {
        "town": town.lower(),
        "current_json": json.dumps(texts[0]),
        "current_at": now(),
        "forecast_json": json.dumps(texts[1]),
        "forecast_at": now(),
        "asked_at": now(),
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


# --- What is sent --------------------------------------------------------------------------------


def test_everybody_who_has_confirmed_gets_it_once(make: Make, office) -> None:
    box, port = office
    app = make(port)
    result = run(app)
    assert (result.exit_code, "mailed 8 digests" in result.output) == (0, True), result.output
    assert box.received() == ONCE
    result = run(app)
    assert (result.exit_code, "mailed no digests" in result.output) == (0, True), result.output
    assert box.received() == ONCE
    assert states(app) == {State.SENT: NUMBER}


def test_what_it_says(make: Make, office) -> None:
    box, port = office
    app = make(port)
    with app.app_context():
        db.session.add(subscriber("nan@example.com", town="nain", units="imperial"))
        db.session.add(subscriber("gone@example.com", town="a town that is no more"))
        db.session.commit()
        today = reports.local().date()
    run(app)
    by = {message["To"]: message for message in box.messages}
    first, other = by[EVERYBODY[0]], by["nan@example.com"]
    assert first["Subject"].startswith("Cobh, ")
    assert str(today.year) in first["Subject"]
    assert "°C" in first.get_content()
    assert other["Subject"].startswith("Nain, ")
    assert "°F" in other.get_content()
    assert "°C" not in other.get_content()
    assert by["gone@example.com"]["Subject"].startswith("Cobh, ")
    text = first.get_content().replace("\r\n", "\n")
    assert len(re.findall(r"^\w+day, \d+ \w+ \d{4}$", text, re.MULTILINE)) == 5, text
    assert "https://homes.example/weather/?town=cobh&units=metric" in text
    assert "None" not in text
    assert "\n\n\n" not in text

    # One click, as RFC 8058 and RFC 2369 have it.
    leave = re.fullmatch(r"<(https://homes\.example/weather/digest/leave\?\S+)>", first["List-Unsubscribe"])
    assert leave, first["List-Unsubscribe"]
    for raw in box.raw:
        # As it is, on one line: mail programs decode no address in a header.
        assert re.search(rb"^List-Unsubscribe: <https://[!-~]+>\r$", raw, re.MULTILINE), raw
    assert first["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert leave[1] in text
    assert len({message["List-Unsubscribe"] for message in box.messages}) == len(box.messages)
    assert len({message["Message-ID"] for message in box.messages}) == len(box.messages)
    path = leave[1].removeprefix("https://homes.example")
    answer = app.test_client().post(path, data={"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200
    with app.app_context():
        assert subscribers.Subscriber.query.filter_by(email=EVERYBODY[0]).count() == 0


def test_towns_with_any_letter_have_headers_as_they_should_be(make: Make, office) -> None:
    box, port = office
    name = "Ny-Ålesund på Spitsbergen ved Kongsfjorden, øst for havna"
    app = make(port, HARBOUR_WEATHER_TOWNS=f"{name}=78.9,11.9; Cobh")
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


def test_lines_with_dots_arrive_as_they_are(make: Make, office) -> None:
    box, port = office
    app = make(port)
    with app.app_context(), mail.connection() as server:
        message = mail.compose("a@example.com", "Dots", ".\n..\n.end\nno\n.\n", "dots")
        assert mail.hand_over(server, message, lambda: True)
    assert box.messages[0].get_content().split() == [".", "..", ".end", "no", "."]


def test_old_weather_says_so_and_very_old_is_not_sent(make: Make, office) -> None:
    box, port = office
    app = make(port)
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
    assert box.received() == ONCE, "expected the next run to send it"
    assert "has not answered since" in box.messages[0].get_content()


def test_it_has_its_hours_in_the_sites_time_zone(make: Make, office, monkeypatch) -> None:
    box, port = office
    app = make(port)
    zone = app.config["HARBOUR_TIMEZONE"]
    for at, expected in (("05:59", 0), ("12:01", 0), ("06:00", NUMBER)):
        moment = datetime.fromisoformat(f"2026-07-01T{at}").replace(tzinfo=zone)
        monkeypatch.setattr(reports, "local", lambda _=None, moment=moment: moment)
        result = run(app, "--from", "06:00", "--until", "12:00")
        assert result.exit_code == 0
        assert len(box.messages) == expected, result.output


def test_each_day_has_its_own(make: Make, office) -> None:
    box, port = office
    app = make(port)
    with app.app_context():
        today = reports.local().date()
        for day in (today, today + timedelta(days=1), today):
            digest.send(day)
        assert box.received() == Counter(EVERYBODY * 2)
        digest.tidy(today + timedelta(days=31))
        assert {one.day for one in db.session.scalars(select(Delivery))} == {today + timedelta(days=1)}


@pytest.mark.parametrize("missing", ["OPENWEATHERMAP_KEY", "SMTP_URL", "HARBOUR_URL"])
def test_without_its_settings_nothing_is_sent(make: Make, office, missing: str) -> None:
    app = make(office[1])
    app.config[missing] = ""
    result = run(app)
    assert result.exit_code == 1
    assert missing in result.output


# --- What goes wrong -----------------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["rcpt", "taken"])
@pytest.mark.parametrize("answer", ["451 Not now", "550 Never", "421 Too many"])
def test_who_was_refused_is_tried_again(make: Make, office, stage: str, answer: str) -> None:
    box, port = office
    app = make(port)
    refused: Counter[str] = Counter()

    def at(where: str, who: str) -> str | None:
        if where == stage and who in EVERYBODY[2:4] and refused[who] < 2:
            refused[who] += 1
            return answer
        return None

    box.at = at
    # What is put off is tried again by the same run, what is refused by the next ones.
    results = [run(app) for _ in range(3 if answer.startswith("5") else 1)]
    assert [result.exit_code for result in results] == [1, 1, 0][-len(results) :]
    assert box.received() == ONCE
    assert refused == {EVERYBODY[2]: 2, EVERYBODY[3]: 2}


def test_who_is_always_refused_holds_nobody_up(make: Make, office) -> None:
    box, port = office
    app = make(port)
    tries: Counter[str] = Counter()

    def at(where: str, who: str) -> str | None:
        if where == "rcpt" and who == EVERYBODY[0]:
            tries[who] += 1
            return "550 Nobody here"
        return None

    box.at = at
    results = [run(app) for _ in range(4)]
    assert [result.exit_code for result in results] == [1, 1, 0, 0]
    assert "Refused 3 times today, and left: 1" in results[-1].output
    assert tries == {EVERYBODY[0]: 3}
    assert box.received() == ONCE - Counter(EVERYBODY[:1])


def test_a_server_that_puts_off_everybody_for_hours_loses_nobody(make: Make, office) -> None:
    box, port = office
    app = make(port)
    box.at = lambda stage, _who: "451 Too busy" if stage == "rcpt" else None
    for _ in range(6):
        result = run(app)
        assert result.exit_code == 1
        assert "8 digests could not be mailed" in result.output
    box.at = lambda _stage, _who: None
    assert run(app).exit_code == 0
    assert box.received() == ONCE


def test_a_sender_who_is_refused_is_nobodys_fault_on_the_list(make: Make, office) -> None:
    box, port = office
    app = make(port)
    box.at = lambda stage, _who: "550 Who are you?" if stage == "mail" else None
    for _ in range(5):
        assert run(app).exit_code == 1
    box.at = lambda _stage, _who: None
    assert run(app).exit_code == 0
    assert box.received() == ONCE


def test_a_server_that_never_says_gets_no_more(make: Make, office) -> None:
    box, port = office
    app = make(port)
    box.at = lambda stage, _who: "hang up" if stage == "taken" else None
    result = run(app)
    assert result.exit_code == 1
    assert "The mail server does not answer" in result.output
    assert states(app) == {State.SENDING: digest.MOST_SILENCE}
    box.at = lambda _stage, _who: None
    run(app)
    assert box.received() == ONCE - Counter(EVERYBODY[: digest.MOST_SILENCE])


def test_a_mail_server_that_is_away_is_waited_for(make: Make, office) -> None:
    box, port = office
    app = make(port)
    app.config["SMTP_URL"] = "smtp://127.0.0.1:1"
    result = run(app)
    assert result.exit_code == 1
    assert "The mail server does not answer" in result.output
    assert states(app) == {}
    app.config["SMTP_URL"] = f"smtp://127.0.0.1:{port}"
    assert run(app).exit_code == 0
    assert box.received() == ONCE


def test_what_nobody_knows_is_said_and_not_sent_again(make: Make, office) -> None:
    """The server has all of a message, and hangs up instead of saying that it took it."""
    box, port = office
    app = make(port)
    box.at = lambda stage, who: "hang up" if stage == "taken" and who == EVERYBODY[1] else None
    result = run(app)
    assert result.exit_code == 0
    assert "Of 1 nobody knows" in result.output
    assert box.received() == ONCE - Counter([EVERYBODY[1]])
    box.at = lambda _stage, _who: None
    assert "Of 1 nobody knows" in run(app).output
    assert box.received() == ONCE - Counter([EVERYBODY[1]])


def test_who_leaves_while_it_is_sent_gets_none(make: Make, office) -> None:
    box, port = office
    app = make(port)

    def at(stage: str, who: str) -> None:
        if (stage, who) == ("data", EVERYBODY[3]):
            with app.app_context():
                db.session.delete(db.session.query(Subscriber).filter_by(email=who).one())
                db.session.commit()

    box.at = at
    assert run(app).exit_code == 0
    assert box.received() == ONCE - Counter([EVERYBODY[3]])


def test_who_comes_back_gets_no_second_one_that_day(make: Make, office) -> None:
    box, port = office
    app = make(port)
    run(app)
    with app.app_context():
        db.session.delete(db.session.query(Subscriber).filter_by(email=EVERYBODY[0]).one())
        db.session.commit()
        db.session.add(subscriber(EVERYBODY[0]))
        db.session.commit()
    run(app)
    assert box.received() == ONCE


def test_addresses_are_not_among_the_deliveries(make: Make, office) -> None:
    app = make(office[1])
    run(app)
    with app.app_context():
        for one in db.session.scalars(select(Delivery)):
            assert re.fullmatch("[0-9a-f]{64}", one.recipient)


# --- Cut off, and several at once ----------------------------------------------------------------

COMMAND = [sys.executable, "-m", "flask", "--app", "wsgi", "weather", "digest"]


def started(make: Make, port: int) -> subprocess.Popen[str]:
    """Start a run of its own, as a timer does."""
    return subprocess.Popen(  # noqa: S603 (ours)
        COMMAND,
        cwd=Path(__file__).parents[1],
        env={**os.environ, **make.settings(port)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize("stage", ["rcpt", "data", "taken", "kept"])
def test_a_run_that_is_killed_half_way_reaches_everybody_once(make: Make, office, stage: str) -> None:
    """With SIGKILL: before a message, in the middle, before and after the server keeps it."""
    box, port = office
    app = make(port)
    runs: list[subprocess.Popen[str]] = []
    killed: list[str] = []

    def at(where: str, who: str) -> None:
        if where == stage and who in (EVERYBODY[2], EVERYBODY[5]) and who not in killed:
            killed.append(who)
            runs[-1].send_signal(signal.SIGKILL)
            runs[-1].wait()

    box.at = at
    for _ in range(3):
        runs.append(started(make, port))
        runs[-1].communicate(timeout=30)
    assert [one.returncode for one in runs] == [-signal.SIGKILL, -signal.SIGKILL, 0]
    assert killed == [EVERYBODY[2], EVERYBODY[5]]
    assert box.received() == ONCE, f"expected each once, got {box.received()}"
    unknown = 2 if stage in {"taken", "kept"} else 0
    assert states(app) == Counter({State.SENT: NUMBER - unknown, State.SENDING: unknown})


def test_two_runs_at_once_send_each_once(make: Make, office) -> None:
    box, port = office
    app = make(port)
    both = threading.Barrier(2)
    results: list[digest.Outcome] = []

    def work() -> None:
        with app.app_context():
            both.wait()
            results.append(digest.send(reports.local().date()))

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert box.received() == ONCE
    assert sum(result.sent for result in results) == NUMBER
    assert states(app) == {State.SENT: NUMBER}


def test_who_comes_second_goes_without_the_last_line(make: Make, office) -> None:
    """The other run decides while this one has handed over all but it."""
    box, port = office
    app = make(port)
    with app.app_context():
        day = reports.local().date()
        [one] = db.session.scalars(select(Subscriber).where(Subscriber.email == EVERYBODY[0]))
        number = one.id

    def at(stage: str, who: str) -> None:
        if (stage, who) == ("data", EVERYBODY[0]):
            with app.app_context():
                assert digest._decide(day, digest.recipient(who), number)

    box.at = at
    run(app)
    assert box.received() == ONCE - Counter([EVERYBODY[0]])
    assert states(app) == {State.SENT: NUMBER - 1, State.SENDING: 1}


def test_a_failure_here_leaves_alone_what_another_run_is_sending(make: Make, office) -> None:
    box, port = office
    app = make(port)
    with app.app_context():
        day = reports.local().date()
        [one] = db.session.scalars(select(Subscriber).where(Subscriber.email == EVERYBODY[0]))
        number = one.id

    def at(stage: str, who: str) -> str | None:
        if (stage, who) == ("rcpt", EVERYBODY[0]):
            with app.app_context():
                digest._decide(day, digest.recipient(who), number)
            return "451 Not now"
        return None

    box.at = at
    run(app)
    box.at = lambda _stage, _who: None
    run(app)
    assert box.received() == ONCE - Counter([EVERYBODY[0]]), "expected it to be left to the other"


# --- TLS -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("trusted", [True, False])
def test_it_goes_over_tls_to_a_server_that_is_who_it_says(
    make: Make, tmp_path: Path, monkeypatch, trusted: bool
) -> None:
    certificate, context = certified(tmp_path)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with opened(context) as (box, port):
        app = make(port)
        app.config["SMTP_URL"] = f"smtp+tls://127.0.0.1:{port}"
        result = run(app)
        if trusted:
            assert result.exit_code == 0, result.output
            assert box.received() == ONCE
        else:
            assert result.exit_code == 1
            assert "certificate verify failed" in result.output
            assert box.messages == []
