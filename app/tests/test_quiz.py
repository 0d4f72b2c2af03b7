"""The daily film on its pages, and that nobody gets more of it than they have earned."""

from __future__ import annotations

import gzip
import itertools
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from io import BytesIO
from pathlib import Path
from threading import Barrier
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from harbour import config
from harbour.extensions import db
from harbour.quiz import films, game
from harbour.quiz.films import Film, Films, Snippet
from harbour.quiz.models import Day, Guess, Player

NOON = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
TODAY = NOON.date()
SECRET = Film(
    id="tt900",
    title="Zanzibar Quux",
    year=1984,
    genres=("Drama", "War"),
    score=77,
    reviews=91,
    fresh=70,
    average=6.5,
    metacritic=58,
    runtime=117,
    countries=("Iceland",),
    directors=("Dirk Director",),
    cast=("Carla Cast", "Cuno Cast", "Clio Cast", "Corin Cast"),
    gross=31415926,
    oscars=3,
    audience=66,
    snippets=(Snippet("Snippet one."), Snippet("Snippet two."), Snippet("Snippet three.")),
)
WRONG = [replace(SECRET, id=f"tt{n}", title=f"Wrong {'abcdefgh'[n]}", year=1990) for n in range(8)]
# What of the film each wrong guess earns. Nothing of a line may be in an answer before it.
EARNED = [
    ["1984", "Drama, War", "77%"],
    ["117 minutes", "Iceland"],
    ["of 91 critics", "6.5 of 10", "58 of 100", "66%", "Snippet one"],
    ["Carla Cast", "Cuno Cast", "31,415,926", "Snippet two"],
    ["Dirk Director", "3 Oscars", "Snippet three"],
    ["Clio Cast", "Corin Cast", "Z… Q…"],
]
ANSWER = "Zanzibar Quux"
JSON = "/quiz/guess.json"


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Return a function that sets the clock."""

    def set_clock(moment: datetime) -> None:
        monkeypatch.setattr(game, "now", lambda: moment)

    set_clock(NOON)
    return set_clock


@pytest.fixture
def film(app: Flask, at: object, monkeypatch: pytest.MonkeyPatch) -> Film:  # noqa: ARG001
    """Make SECRET the film of today, among films that it can be told from by its name alone."""
    known = Films([*WRONG, SECRET])
    monkeypatch.setattr(films, "load", lambda _notes: known)
    with app.app_context():
        db.session.add(Day(day=TODAY, film=SECRET.id))
        db.session.commit()
    return SECRET


class Browser:
    """A player's browser."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client
        page = client.get("/quiz/").text
        self.key = re.search(r'name="csrf_token" type="hidden" value="(.*?)"', page)[1]
        self.day = re.search(r'name="day" type="hidden" value="(.*?)"', page)[1]

    def guess(self, text: str, path: str = JSON, **more: str) -> TestResponse:
        data = {"guess": text, "day": self.day, "csrf_token": self.key, **more}
        return self.client.post(path, data=data)

    def state(self) -> dict[str, Any]:
        return self.client.get("/quiz/today.json").json

    def page(self) -> str:
        return self.client.get("/quiz/").text


@pytest.fixture
def browser(film: Film, client: FlaskClient) -> Browser:  # noqa: ARG001
    """Return a browser that has today's page open, whose film is SECRET."""
    return Browser(client)


def unearned(wrong: int) -> list[str]:
    return [ANSWER, *itertools.chain(*EARNED[wrong + 1 :])]


# --- How it is played --------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/quiz/", JSON], ids=["form", "script"])
def test_six_wrong_guesses(browser: Browser, path: str) -> None:
    """Each earns a clue, the last one the answer; the form and the script show the same."""
    for wrong in range(6):
        for text in (browser.page(), str(browser.state())):
            for told in itertools.chain(*EARNED[: wrong + 1]):
                assert told in text, f"expected {told} after {wrong} wrong guesses"
            for told in unearned(wrong):
                assert told not in text, f"{told} was told after {wrong} wrong guesses"
        assert browser.state()["left"] == 6 - wrong
        assert browser.page().count('class="open"') == 6 - wrong
        answer = browser.guess(WRONG[wrong].title, path)
        assert answer.status_code == (303 if path == "/quiz/" else 200)
        assert f"{WRONG[wrong].title} (1990)" in browser.page(), "earlier guesses are in sight"
    state = browser.state()
    assert (state["over"], state["won"], state["left"]) == (True, False, 0)
    assert state["answer"] == "Zanzibar Quux (1984)"
    assert "The film is <strong" in browser.page()


@pytest.mark.parametrize("path", ["/quiz/", JSON], ids=["form", "script"])
def test_the_right_guess(browser: Browser, path: str) -> None:
    browser.guess("wrong A", path)
    browser.guess("zanzibar-QUUX!", path)
    state = browser.state()
    assert (state["over"], state["won"], state["streak"], state["best"]) == (True, True, 1, 1)
    assert [guess["right"] for guess in state["guesses"]] == [False, True]
    assert "You have it!" in browser.page()
    assert "Days in a row: 1" in browser.page()
    assert re.search(r'<form id="quiz-form"[^>]* hidden>', browser.page())


def test_what_is_shared_tells_nothing_of_the_film(browser: Browser) -> None:
    browser.guess("Wrong a")
    browser.guess(ANSWER)
    share = browser.state()["share"]
    assert share == "Harbour\u2019s film of 21 November 2026: 2/6\n🟥🟩\nhttp://localhost/quiz/"
    assert share in browser.page()


def test_who_loses_shares_an_x(browser: Browser) -> None:
    for film in WRONG[:6]:
        browser.guess(film.title)
    assert ": X/6\n🟥🟥🟥🟥🟥🟥\n" in browser.state()["share"]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "Type the title"),
        ("  \x00 ", "Type the title"),
        ("Nothing of the kind", "no film of this name. It has cost no try."),
        ("Wrnog f", "Did you mean Wrong f"),
        ("Zanzibra Quux", "Did you mean Zanzibar Quux?"),
        ("x" * 121, "as long as that"),
        ("WRONG A (1990)", "before"),
    ],
)
def test_what_costs_no_try(browser: Browser, typed: str, said: str) -> None:
    browser.guess("Wrong a")
    before = browser.state()
    answer = browser.guess(typed)
    assert answer.status_code == 422
    assert said in answer.json["problem"]
    form = browser.guess(typed, "/quiz/")
    assert form.status_code == 422
    assert said in form.text
    assert 'aria-invalid="true"' in form.text
    assert browser.state() == before


def test_what_was_typed_is_still_there(browser: Browser) -> None:
    page = browser.guess("<b>Nothing", "/quiz/").text
    assert 'value="&lt;b&gt;Nothing"' in page


def test_a_field_that_is_a_file_is_no_guess(browser: Browser) -> None:
    data = {"guess": (BytesIO(b"Jaws"), "x.txt"), "csrf_token": browser.key}
    assert browser.client.post("/quiz/", data=data).status_code == 422


def test_a_guess_needs_the_forms_key(browser: Browser) -> None:
    browser.key = "x"
    for path in ("/quiz/", JSON):
        assert browser.guess("Wrong a", path).status_code == 400
    assert browser.guess("Wrong a").mimetype == "application/problem+json"
    assert browser.state()["guesses"] == []


def test_one_film_a_day_for_everybody(app: Flask, at: Callable[..., None]) -> None:
    """With the films that are shipped, from the first page of a day on."""
    seen = []
    for number in range(3):
        at(NOON + timedelta(days=number))
        clients = [app.test_client() for _ in range(3)]
        states = [client.get("/quiz/today.json").json for client in clients]
        assert states[0] == states[1] == states[2]
        seen.append(str(states[0]["clues"]))
    assert len(set(seen)) == 3
    with app.app_context():
        assert db.session.scalar(select(func.count(Day.day))) == 3


def test_a_days_film_stays_when_the_key_changes(
    app: Flask, client: FlaskClient, at: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = client.get("/quiz/today.json").json
    with app.app_context():
        first = db.session.get(Day, TODAY).film
    monkeypatch.setitem(app.config, "SECRET_KEY", "another")
    assert client.get("/quiz/today.json").json == before
    at(NOON + timedelta(days=1))
    client.get("/quiz/today.json")
    with app.app_context():
        assert db.session.get(Day, TODAY).film == first
        assert db.session.get(Day, TODAY + timedelta(days=1)).film != first


def test_what_came_in_ten_years_is_left_out(
    app: Flask, client: FlaskClient, film: Film, at: Callable[..., None]
) -> None:
    tomorrow = TODAY + timedelta(days=1)
    # All have come but one, which is not the one whose turn it would be.
    turn = game.Order(films.load(""), app.config["SECRET_KEY"]).film(tomorrow)
    left = next(wrong for wrong in WRONG if wrong.id != turn)
    with app.app_context():
        for number, came in enumerate(wrong for wrong in WRONG if wrong is not left):
            db.session.add(Day(day=tomorrow - timedelta(days=3652 - number), film=came.id))
        db.session.commit()
    at(NOON + timedelta(days=1))
    client.get("/quiz/")
    with app.app_context():
        assert db.session.get(Day, tomorrow).film == left.id != film.id


def test_two_who_are_first_at_once_get_the_same_film(app: Flask, at: Callable[..., None]) -> None:  # noqa: ARG001
    gate = Barrier(4)

    def ask() -> str:
        client = app.test_client()
        gate.wait()
        answer = client.get("/quiz/today.json")
        assert answer.status_code == 200
        return str(answer.json)

    with ThreadPoolExecutor(4) as pool:
        assert len({future.result() for future in [pool.submit(ask) for _ in range(4)]}) == 1


def test_without_films_the_page_says_so(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(films, "load", lambda _notes: Films(()))
    assert "There are no films here" in client.get("/quiz/").text
    assert client.get("/quiz/today.json").status_code == 404
    assert client.get("/quiz/archive").status_code == 200
    assert client.get("/").status_code == 200


# --- Streaks -----------------------------------------------------------------------------------


def test_days_in_a_row(browser: Browser, app: Flask, at: Callable[..., None]) -> None:
    def play(number: int, *guesses: str) -> tuple[int, int]:
        day = TODAY + timedelta(days=number)
        at(NOON + timedelta(days=number))
        with app.app_context():
            db.session.merge(Day(day=day, film=SECRET.id))
            db.session.commit()
        browser.day = day.isoformat()
        for typed in guesses:
            browser.guess(typed)
        state = browser.state()
        return state["streak"], state["best"]

    assert play(0, ANSWER) == (1, 1)
    assert play(1) == (1, 1), "the day is not over"
    assert play(1, "Wrong a", ANSWER) == (2, 2)
    assert play(3) == (0, 2), "a day was left out"
    assert play(3, ANSWER) == (1, 2)
    assert play(4, *(film.title for film in WRONG[:6])) == (0, 2)
    assert play(5, ANSWER) == (1, 2)


# --- Nobody gets the answer early --------------------------------------------------------------

LATER = ["2026-11-21", "2026-11-22", "2027-01-01", "9999-12-31"]
ASKED = [
    "/quiz/",
    "/quiz/?day=2026-11-20",
    "/quiz/?day=2026-11-21&over=1&wrong=6&left=0&won=true&debug=1&answer=1",
    "/quiz/today.json",
    "/quiz/today.json?day=2026-11-21&guesses=6&over=true&tries=0&zone=Pacific/Kiritimati",
    "/quiz/today.json?callback=x&fields=answer,film",
    "/quiz/titles.json?q=Z&film=tt900&sort=day",
    "/quiz/archive",
    "/quiz/archive?page=0",
    "/quiz/archive?page=-1",
    "/quiz/archive?before=2027-01-01&day=2026-11-21",
    *(f"/quiz/archive/{day}" for day in LATER),
    # Days that are written in another way.
    "/quiz/archive/20261121",
    "/quiz/archive/2026-W47-6",
    "/quiz/archive/2026-11-21T00:00",
    "/quiz/archive/\u0662\u0660\u0662\u0666-\u0661\u0661-\u0662\u0661",
    "/quiz/archive/2026-11-20%0a",
    "/quiz/archive/today",
    "/quiz/archive/-1",
    "/quiz/1",
    "/quiz/films.jsonl",
    "/static/quiz.js",
    "/static/films.jsonl",
    "/static/../quiz/films.jsonl",
    "/sitemap.xml",
    "/sitemap/pages.xml",
    "/",
    "/api/v1/openapi.json",
    "/metrics",
]
HEADERS = {
    "X-Forwarded-For": "127.0.0.1",
    "X-Timezone": "Pacific/Kiritimati",
    "Date": "Mon, 23 Nov 2026 00:00:00 GMT",
    "If-None-Match": "*",
    "If-Modified-Since": "Mon, 23 Nov 2037 00:00:00 GMT",
    "Range": "bytes=0-99999",
    "Accept": "application/json",
    "Cookie": "quiz=tt900; timezone=Pacific/Kiritimati",
}


@pytest.mark.parametrize("path", ASKED)
@pytest.mark.parametrize("wrong", [0, 3])
def test_no_address_tells_more_than_was_earned(browser: Browser, path: str, wrong: int) -> None:
    for film in WRONG[:wrong]:
        browser.guess(film.title)
    for method, headers in itertools.product(("GET", "HEAD", "OPTIONS", "POST"), ({}, HEADERS)):
        answer = browser.client.open(path, method=method, headers=headers, buffered=True)
        # All titles there are may be suggested, in the order of the alphabet.
        everything = unearned(wrong)[path.startswith("/quiz/titles.json") :]
        for told in everything:
            assert told not in answer.text, f"{method} {path} tells {told}"
            assert told not in str(answer.headers), f"{method} {path} tells {told}"
        assert SECRET.id not in answer.text
        assert SECRET.id not in str(answer.headers)


@pytest.mark.parametrize("path", ["/quiz/", JSON])
@pytest.mark.parametrize(
    "more",
    [
        {"day": "2026-11-22"},
        {"day": "2026-11-20"},
        {"day": ""},
        {"film": "tt900"},
        {"number": "7", "tries": "0", "left": "0"},
        {"guesses": "a,b,c,d,e,f", "over": "true", "won": "true"},
        {"player": "1", "player_id": "1", "name": "x"},
    ],
)
def test_no_field_of_a_form_earns_more(browser: Browser, path: str, more: dict[str, str]) -> None:
    answer = browser.guess("Wrong a", path, **more)
    page = browser.page()
    for told in unearned(1):
        assert told not in answer.text + page


def test_json_is_no_form(browser: Browser) -> None:
    sent = {"guess": ANSWER, "day": browser.day, "over": True}
    headers = {"X-CSRFToken": browser.key}
    answer = browser.client.post(JSON, json=sent, headers=headers)
    assert answer.status_code == 422
    assert "Dirk" not in answer.text


def outcome(client: FlaskClient, wrong: int) -> Iterator[tuple[str, int, str, str]]:
    """Yield all that can be seen from outside after so many wrong guesses."""
    browser = Browser(client)
    sent = [browser.guess(film.title) for film in WRONG[:wrong]]
    again = ["Wrong a"] if wrong else []
    for typed, path in itertools.product((*again, "No such thing", ""), ("/quiz/", JSON)):
        sent.append(browser.guess(typed, path))
    sent += [client.get(path, buffered=True) for path in ASKED]
    sent += [client.head("/quiz/"), client.get("/quiz/", headers={"Range": "bytes=0-9"})]
    for answer in sent:
        text = re.sub(r'(name="csrf_token" type="hidden" value=)".*?"', r"\1", answer.text)
        # The form's key is another each time, and as long; the clock goes on.
        headers = [(k, v) for k, v in answer.headers if k not in ("Set-Cookie", "Date", "Expires")]
        yield answer.request.path, answer.status_code, text, str(headers)


@pytest.mark.parametrize("wrong", range(6))
def test_two_films_that_differ_in_what_is_not_earned_cannot_be_told_apart(
    app: Flask, film: Film, monkeypatch: pytest.MonkeyPatch, wrong: int
) -> None:
    """Not by a word, a length, an order, a status or a header of any answer.

    Two worlds have the same films, and in each another of two is today's. What the two have in
    common is what was earned.
    """
    other = replace(
        film,
        id="tt901",
        title="Yttrium Vex and Other Words" if wrong < 5 else "Zebra Quince",
        **[
            {"runtime": 61, "countries": ("Chad", "Peru")},
            {"reviews": 45, "fresh": 9, "average": None, "metacritic": None, "audience": None},
            {"cast": ("Ann", "Bea", *film.cast[2:]), "gross": None},
            {"directors": ("Eve", "Fay", "Gus"), "oscars": None},
            {"cast": (*film.cast[:2], "Hal", "Ida")},
            {},  # but for the title, it is all earned
        ][wrong],
    )
    known = Films([*WRONG, film, other])
    monkeypatch.setattr(films, "load", lambda _notes: known)
    worlds = []
    for today in (film, other):
        with app.app_context():
            db.session.execute(Guess.__table__.delete())
            db.session.execute(Player.__table__.delete())
            db.session.merge(Day(day=TODAY, film=today.id))
            db.session.commit()
        worlds.append(list(outcome(app.test_client(), wrong)))
    for one, two in zip(*worlds, strict=True):
        assert one == two


def test_the_twins_would_be_told_apart_with_one_more_guess(film: Film) -> None:
    """The test above changes, for each number of wrong guesses, what the next one earns."""
    for wrong in range(5):
        assert game.clues(film, wrong) != game.clues(film, wrong + 1)


def test_an_old_cookie_has_no_tries(browser: Browser) -> None:
    """Neither the one of the first guess nor one from before the last."""
    kept = []
    for film in WRONG[:6]:
        browser.guess(film.title)
        kept.append(browser.client.get_cookie("__Host-quiz").value)
    assert len(set(kept)) == 1, "the cookie has nothing but a name"
    assert ANSWER not in kept[0]
    browser.client.set_cookie("__Host-quiz", kept[0])
    answer = browser.guess(ANSWER).json
    assert (answer["won"], answer["over"], len(answer["guesses"])) == (False, True, 6)


def test_who_throws_the_cookie_away_begins_anew(browser: Browser) -> None:
    for film in WRONG[:3]:
        browser.guess(film.title)
    browser.client.delete_cookie("__Host-quiz")
    assert browser.state()["guesses"] == []
    for told in unearned(0):
        assert told not in browser.page()


@pytest.mark.parametrize("value", ["1", "x.y", "", '"1"', "IjEi.x", "W10.x", "a" * 3000])
def test_a_made_up_cookie_is_nobodys(browser: Browser, value: str) -> None:
    browser.client.set_cookie("__Host-quiz", value)
    answer = browser.client.get("/quiz/today.json")
    assert answer.status_code == 200
    assert answer.json["guesses"] == []


def test_what_is_signed_for_something_else_is_nobodys(browser: Browser) -> None:
    browser.guess("Wrong a")
    session = browser.client.get_cookie("__Host-session").value
    browser.client.set_cookie("__Host-quiz", session)
    assert browser.state()["guesses"] == []


def test_guesses_at_once_are_six_at_most(app: Flask, browser: Browser) -> None:
    """Eight wrong ones from one player at the same time, of whom the last has two tries left."""
    for film in WRONG[:4]:
        browser.guess(film.title)
    cookies = {name: browser.client.get_cookie(name).value for name in ("__Host-quiz",)}
    session = browser.client.get_cookie("__Host-session").value
    gate = Barrier(4)

    def send(film: Film) -> int:
        client = app.test_client()
        client.set_cookie("__Host-quiz", cookies["__Host-quiz"])
        client.set_cookie("__Host-session", session)
        data = {"guess": film.title, "day": browser.day, "csrf_token": browser.key}
        gate.wait()
        return client.post(JSON, data=data).status_code

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(send, WRONG[4:])) == [200] * 4
    state = browser.state()
    assert (len(state["guesses"]), state["over"], state["won"]) == (6, True, False)
    with app.app_context():
        numbers = db.session.scalars(select(Guess.number).order_by(Guess.number)).all()
    assert numbers == [1, 2, 3, 4, 5, 6]


def test_after_the_end_nothing_counts(app: Flask, browser: Browser) -> None:
    browser.guess(ANSWER)
    for typed in ("Wrong a", "Wrong b"):
        assert browser.guess(typed).json["won"]
        assert browser.guess(typed, "/quiz/").status_code == 303
    with app.app_context():
        assert db.session.scalar(select(func.count(Guess.id))) == 1
        assert db.session.scalars(select(Player.streak)).one() == 1


def test_who_tries_all_films_is_stopped(fresh_app: Callable[..., Flask]) -> None:
    app = fresh_app()
    with app.app_context():
        db.create_all()
    browser = Browser(app.test_client())
    got = []
    for number in range(62):
        browser.client.delete_cookie("__Host-quiz")
        path = "/quiz/" if number % 2 else JSON
        got.append(browser.guess("nothing", path).status_code)
    assert got == [422] * 60 + [429] * 2, "the form and the script count together"


# --- Midnight ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "before", "after"),
    [
        ("UTC", "2026-11-21T23:59:59", "2026-11-22T00:00:00"),
        ("Pacific/Auckland", "2026-11-21T10:59:59", "2026-11-21T11:00:00"),  # summer, +13
        ("Pacific/Auckland", "2026-07-01T11:59:59", "2026-07-01T12:00:00"),  # winter, +12
        ("Pacific/Honolulu", "2026-11-21T09:59:59", "2026-11-21T10:00:00"),
        ("Asia/Kathmandu", "2026-11-21T18:14:59", "2026-11-21T18:15:00"),
    ],
)
def test_midnight_is_the_sites(
    app: Flask,
    client: FlaskClient,
    at: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    zone: str,
    before: str,
    after: str,
) -> None:
    monkeypatch.setitem(app.config, "HARBOUR_TIMEZONE", ZoneInfo(zone))
    moments = [datetime.fromisoformat(f"{moment}+00:00") for moment in (before, after)]
    at(moments[0])
    first = client.get("/quiz/today.json").json
    old = first["day"]
    assert client.get(f"/quiz/archive/{old}").status_code == 404, "it is not over yet"
    assert f"/quiz/archive/{old}" not in client.get("/quiz/archive").text
    at(moments[1])
    second = client.get("/quiz/today.json").json
    assert date.fromisoformat(second["day"]) - date.fromisoformat(old) == timedelta(days=1)
    assert second["clues"] != first["clues"]
    assert client.get(f"/quiz/archive/{old}").status_code == 200
    assert f"/quiz/archive/{old}" in client.get("/quiz/archive").text


def test_a_guess_that_comes_after_midnight_is_for_no_film(
    browser: Browser, app: Flask, at: Callable[..., None]
) -> None:
    at(NOON + timedelta(days=1))
    with app.app_context():
        db.session.add(Day(day=TODAY + timedelta(days=1), film=WRONG[0].id))
        db.session.commit()
    answer = browser.guess("Wrong b")
    assert answer.status_code == 422
    assert "a new film" in answer.json["problem"]
    assert answer.json["day"] == "2026-11-22"
    page = browser.guess("Wrong b", "/quiz/").text
    assert 'name="day" type="hidden" value="2026-11-22"' in page, "the next guess is for today's"
    assert browser.state()["guesses"] == []


@pytest.mark.parametrize("zone", ["Nowhere/Town", "../../etc/passwd", "/etc/localtime", "\0"])
def test_the_zone_has_to_be_one(tmp_path: Path, zone: str) -> None:
    with pytest.raises(config.ConfigurationError, match="HARBOUR_TIMEZONE"):
        config.load(tmp_path, {"HARBOUR_TIMEZONE": zone})


def test_the_zone_is_utc_unless_said(tmp_path: Path) -> None:
    assert config.load(tmp_path, {})["HARBOUR_TIMEZONE"] is timezone.utc
    settings = config.load(tmp_path, {"HARBOUR_TIMEZONE": "Europe/Dublin"})
    assert settings["HARBOUR_TIMEZONE"] == ZoneInfo("Europe/Dublin")


# --- The archive -------------------------------------------------------------------------------


def test_the_archive(browser: Browser, app: Flask) -> None:
    with app.app_context():
        for number in range(1, 41):
            film = WRONG[number % 8]
            db.session.add(Day(day=TODAY - timedelta(days=number), film=film.id))
        db.session.add(Day(day=TODAY - timedelta(days=41), film="gone"))
        db.session.add(Day(day=TODAY + timedelta(days=1), film=SECRET.id))
        db.session.commit()

    def listed(page: int) -> list[str]:
        text = browser.client.get(f"/quiz/archive?page={page}").text
        assert ANSWER not in text
        return re.findall(r'href="/quiz/archive/([\d-]+)"', text)

    days = [(TODAY - timedelta(days=number)).isoformat() for number in range(1, 41)]
    assert listed(1) == days[:31]
    assert listed(2) == days[31:]
    assert listed(3) == []
    page = browser.client.get(f"/quiz/archive/{days[0]}")
    assert "Wrong b (1990)" in page.text
    assert "Dirk Director" in page.text
    assert browser.client.get("/quiz/archive/2026-10-11").status_code == 404, "its film is gone"
    assert browser.client.get("/quiz/archive/2020-01-01").status_code == 404
    assert browser.client.get("/quiz/archive?page=x").status_code == 200


# --- What is kept, and by whom -----------------------------------------------------------------


def test_who_may_keep_what(browser: Browser, app: Flask) -> None:
    with app.app_context():
        db.session.add(Day(day=TODAY - timedelta(days=1), film=WRONG[0].id))
        db.session.commit()
    stranger = app.test_client()
    got = {
        path: stranger.get(path).headers["Cache-Control"]
        for path in (
            *("/quiz/", "/quiz/today.json", "/quiz/titles.json", "/quiz/archive"),
            *("/quiz/archive/2026-11-20", "/quiz/archive/2026-11-21"),
        )
    }
    assert got == {
        "/quiz/": "private, no-store",
        "/quiz/today.json": "private, no-store",
        "/quiz/titles.json": "public, max-age=3600",
        "/quiz/archive": "public, max-age=1",
        "/quiz/archive/2026-11-20": "public, max-age=1",
        # Tomorrow there is one.
        "/quiz/archive/2026-11-21": "public, max-age=1",
    }
    for path in ("/quiz/", JSON):
        for answer in (browser.guess("Wrong a", path), browser.guess("nothing", path)):
            assert answer.headers["Cache-Control"] == "private, no-store"


def test_the_cookie(browser: Browser) -> None:
    assert browser.client.get_cookie("__Host-quiz") is None, "looking at the page sets none"
    cookies = browser.guess("Wrong a").headers.getlist("Set-Cookie")
    [cookie] = [cookie for cookie in cookies if cookie.startswith("__Host-quiz=")]
    for attribute in ("HttpOnly", "SameSite=Lax", "Secure", "Path=/", "Max-Age=34560000"):
        assert attribute in cookie.split("; ")
    assert "Domain" not in cookie


def test_titles_are_the_same_for_everybody(browser: Browser, app: Flask) -> None:
    before = app.test_client().get("/quiz/titles.json")
    browser.guess("Wrong a")
    browser.guess(ANSWER)
    after = browser.client.get("/quiz/titles.json")
    assert after.data == before.data
    assert after.json == sorted(film.title for film in [*WRONG, SECRET])
    headers = {"If-None-Match": before.headers["ETag"]}
    assert browser.client.get("/quiz/titles.json", headers=headers).status_code == 304


def test_the_titles_are_light(client: FlaskClient) -> None:
    """They come when somebody begins to type, and are half of what a page may weigh."""
    assert len(gzip.compress(client.get("/quiz/titles.json").data, 5)) < 35_000


def test_the_script_knows_the_page(browser: Browser) -> None:
    """Each part that it fills is there, and each address that it asks."""
    script = browser.client.get("/static/quiz.js", buffered=True).text
    page = browser.page()
    parts = set(re.findall(r'part\("(\w+)"\)', script))
    assert parts
    for name in parts:
        assert f'id="quiz-{name}"' in page, name
    for name in set(re.findall(r"form\.dataset\.(\w+)", script)):
        assert f"data-{name}=" in page, name
    for name in set(re.findall(r"quiz\.(\w+)", script)) - {"problem", "detail"}:
        assert name in browser.state(), name
    assert "innerHTML" not in script


def test_players_are_forgotten(
    app: Flask, runner: FlaskCliRunner, browser: Browser, at: Callable[..., None]
) -> None:
    browser.guess("Wrong a")
    at(NOON + timedelta(days=400))
    assert "Forgot no players." in runner.invoke(args=["quiz", "forget"]).output
    at(NOON + timedelta(days=401))
    assert "Forgot 1 player." in runner.invoke(args=["quiz", "forget"]).output
    with app.app_context():
        assert db.session.scalar(select(func.count(Guess.id))) == 0
        assert db.session.scalar(select(func.count(Player.id))) == 0
        assert db.session.scalar(select(func.count(Day.day))) == 1, "the days stay"
    # Whose cookie still has the name of somebody who was forgotten plays as somebody new.
    browser.day = (TODAY + timedelta(days=401)).isoformat()
    assert browser.guess("Wrong a").status_code == 200
    assert len(browser.state()["guesses"]) == 1
