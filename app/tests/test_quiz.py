"""Pages of the daily film. Responses contain only the clues that the player has earned."""

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
# New clues by number of wrong guesses. Earlier responses must not contain them.
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
def set_time(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Set the clock to NOON, and return a function that sets it to another time."""

    def set_now(moment: datetime) -> None:
        monkeypatch.setattr(game, "now", lambda: moment)

    set_now(NOON)
    return set_now


@pytest.fixture
def film(app: Flask, set_time: object, monkeypatch: pytest.MonkeyPatch) -> Film:  # noqa: ARG001
    """Make SECRET the film of today. The other films differ in ID, name and year."""
    all_films = Films([*WRONG, SECRET])
    monkeypatch.setattr(films, "load", lambda _notes: all_films)
    with app.app_context():
        db.session.add(Day(day=TODAY, film=SECRET.id))
        db.session.commit()
    return SECRET


class Browser:
    """A browser with the page of the quiz, and its CSRF token."""

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
    """Return a browser. The film of today is SECRET."""
    return Browser(client)


def unearned_clues(wrong: int) -> list[str]:
    return [ANSWER, *itertools.chain(*EARNED[wrong + 1 :])]


# --- Playing -----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/quiz/", JSON], ids=["form", "script"])
def test_six_wrong_guesses_earn_clues_and_answer(browser: Browser, path: str) -> None:
    """The form and the script get the same clues."""
    for wrong in range(6):
        for text in (browser.page(), str(browser.state())):
            for clue in itertools.chain(*EARNED[: wrong + 1]):
                assert clue in text, f"expected {clue} after {wrong} wrong guesses"
            for clue in unearned_clues(wrong):
                assert clue not in text, f"expected no {clue} after {wrong} wrong guesses"
        assert browser.state()["left"] == 6 - wrong
        assert browser.page().count('class="open"') == 6 - wrong
        response = browser.guess(WRONG[wrong].title, path)
        assert response.status_code == (303 if path == "/quiz/" else 200)
        assert f"{WRONG[wrong].title} (1990)" in browser.page(), "expected earlier guesses on the page"
    state = browser.state()
    assert (state["over"], state["won"], state["left"]) == (True, False, 0)
    assert state["answer"] == "Zanzibar Quux (1984)"
    assert "The film is <strong" in browser.page()


@pytest.mark.parametrize("path", ["/quiz/", JSON], ids=["form", "script"])
def test_correct_guess_wins(browser: Browser, path: str) -> None:
    browser.guess("wrong A", path)
    browser.guess("zanzibar-QUUX!", path)
    state = browser.state()
    assert (state["over"], state["won"], state["streak"], state["best"]) == (True, True, 1, 1)
    assert [guess["right"] for guess in state["guesses"]] == [False, True]
    assert "You have it!" in browser.page()
    assert "Days in a row: 1" in browser.page()
    assert re.search(r'<form id="quiz-form"[^>]* hidden>', browser.page())


def test_shared_result_does_not_reveal_film(browser: Browser) -> None:
    browser.guess("Wrong a")
    browser.guess(ANSWER)
    share = browser.state()["share"]
    assert share == "Harbour\u2019s film of 21 November 2026: 2/6\n🟥🟩\nhttp://localhost/quiz/"
    assert share in browser.page()


def test_shared_result_of_loss_contains_x(browser: Browser) -> None:
    for film in WRONG[:6]:
        browser.guess(film.title)
    assert ": X/6\n🟥🟥🟥🟥🟥🟥\n" in browser.state()["share"]


@pytest.mark.parametrize(
    ("guess", "message"),
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
def test_rejected_guess_costs_no_try(browser: Browser, guess: str, message: str) -> None:
    browser.guess("Wrong a")
    before = browser.state()
    response = browser.guess(guess)
    assert response.status_code == 422
    assert message in response.json["problem"]
    form = browser.guess(guess, "/quiz/")
    assert form.status_code == 422
    assert message in form.text
    assert 'aria-invalid="true"' in form.text
    assert browser.state() == before


def test_form_contains_rejected_guess(browser: Browser) -> None:
    page = browser.guess("<b>Nothing", "/quiz/").text
    assert 'value="&lt;b&gt;Nothing"' in page


def test_file_as_guess_is_rejected(browser: Browser) -> None:
    data = {"guess": (BytesIO(b"Jaws"), "x.txt"), "csrf_token": browser.key}
    assert browser.client.post("/quiz/", data=data).status_code == 422


def test_guess_without_csrf_token_returns_400(browser: Browser) -> None:
    browser.key = "x"
    for path in ("/quiz/", JSON):
        assert browser.guess("Wrong a", path).status_code == 400
    assert browser.guess("Wrong a").mimetype == "application/problem+json"
    assert browser.state()["guesses"] == []


def test_all_players_of_a_day_get_same_film(app: Flask, set_time: Callable[..., None]) -> None:
    """Uses the shipped films."""
    days = []
    for number in range(3):
        set_time(NOON + timedelta(days=number))
        clients = [app.test_client() for _ in range(3)]
        states = [client.get("/quiz/today.json").json for client in clients]
        assert states[0] == states[1] == states[2]
        days.append(str(states[0]["clues"]))
    assert len(set(days)) == 3
    with app.app_context():
        assert db.session.scalar(select(func.count(Day.day))) == 3


def test_film_of_day_survives_change_of_key(
    app: Flask, client: FlaskClient, set_time: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = client.get("/quiz/today.json").json
    with app.app_context():
        first = db.session.get(Day, TODAY).film
    monkeypatch.setitem(app.config, "SECRET_KEY", "another")
    assert client.get("/quiz/today.json").json == before
    set_time(NOON + timedelta(days=1))
    client.get("/quiz/today.json")
    with app.app_context():
        assert db.session.get(Day, TODAY).film == first
        assert db.session.get(Day, TODAY + timedelta(days=1)).film != first


def test_films_of_last_ten_years_are_skipped(
    app: Flask, client: FlaskClient, film: Film, set_time: Callable[..., None]
) -> None:
    tomorrow = TODAY + timedelta(days=1)
    # One film is not used yet, and it is not the next in order.
    next_in_order = game.Order(films.load(""), app.config["SECRET_KEY"]).film(tomorrow)
    unused = next(wrong for wrong in WRONG if wrong.id != next_in_order)
    with app.app_context():
        for number, used in enumerate(wrong for wrong in WRONG if wrong is not unused):
            db.session.add(Day(day=tomorrow - timedelta(days=3652 - number), film=used.id))
        db.session.commit()
    set_time(NOON + timedelta(days=1))
    client.get("/quiz/")
    with app.app_context():
        assert db.session.get(Day, tomorrow).film == unused.id != film.id


def test_concurrent_first_requests_get_same_film(app: Flask, set_time: Callable[..., None]) -> None:  # noqa: ARG001
    barrier = Barrier(4)

    def request_film() -> str:
        client = app.test_client()
        barrier.wait()
        response = client.get("/quiz/today.json")
        assert response.status_code == 200
        return str(response.json)

    with ThreadPoolExecutor(4) as pool:
        assert len({future.result() for future in [pool.submit(request_film) for _ in range(4)]}) == 1


def test_page_without_films_shows_notice(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(films, "load", lambda _notes: Films(()))
    assert "There are no films here" in client.get("/quiz/").text
    assert client.get("/quiz/today.json").status_code == 404
    assert client.get("/quiz/archive").status_code == 200
    assert client.get("/").status_code == 200


# --- Streaks -----------------------------------------------------------------------------------


def test_streak_counts_consecutive_days(browser: Browser, app: Flask, set_time: Callable[..., None]) -> None:
    def play(number: int, *guesses: str) -> tuple[int, int]:
        day = TODAY + timedelta(days=number)
        set_time(NOON + timedelta(days=number))
        with app.app_context():
            db.session.merge(Day(day=day, film=SECRET.id))
            db.session.commit()
        browser.day = day.isoformat()
        for guess in guesses:
            browser.guess(guess)
        state = browser.state()
        return state["streak"], state["best"]

    assert play(0, ANSWER) == (1, 1)
    assert play(1) == (1, 1), "expected the streak to last until the end of the day"
    assert play(1, "Wrong a", ANSWER) == (2, 2)
    assert play(3) == (0, 2), "expected the streak to end after a missed day"
    assert play(3, ANSWER) == (1, 2)
    assert play(4, *(film.title for film in WRONG[:6])) == (0, 2)
    assert play(5, ANSWER) == (1, 2)


# --- Unearned clues ----------------------------------------------------------------------------

LATER = ["2026-11-21", "2026-11-22", "2027-01-01", "9999-12-31"]
PATHS = [
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
    # Dates in other formats.
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


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("wrong", [0, 3])
def test_no_path_reveals_unearned_clues(browser: Browser, path: str, wrong: int) -> None:
    for film in WRONG[:wrong]:
        browser.guess(film.title)
    for method, headers in itertools.product(("GET", "HEAD", "OPTIONS", "POST"), ({}, HEADERS)):
        response = browser.client.open(path, method=method, headers=headers, buffered=True)
        # The list of titles contains the answer, in alphabetical order.
        hidden = unearned_clues(wrong)[path.startswith("/quiz/titles.json") :]
        for clue in hidden:
            assert clue not in response.text, f"{method} {path} reveals {clue}"
            assert clue not in str(response.headers), f"{method} {path} reveals {clue}"
        assert SECRET.id not in response.text
        assert SECRET.id not in str(response.headers)


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
def test_extra_form_fields_reveal_nothing(browser: Browser, path: str, more: dict[str, str]) -> None:
    response = browser.guess("Wrong a", path, **more)
    page = browser.page()
    for clue in unearned_clues(1):
        assert clue not in response.text + page


def test_json_body_is_not_a_guess(browser: Browser) -> None:
    content = {"guess": ANSWER, "day": browser.day, "over": True}
    headers = {"X-CSRFToken": browser.key}
    response = browser.client.post(JSON, json=content, headers=headers)
    assert response.status_code == 422
    assert "Dirk" not in response.text


def observations(client: FlaskClient, wrong: int) -> Iterator[tuple[str, int, str, str]]:
    """Yield path, status, content and headers of all responses after some wrong guesses."""
    browser = Browser(client)
    responses = [browser.guess(film.title) for film in WRONG[:wrong]]
    repeated = ["Wrong a"] if wrong else []
    for guess, path in itertools.product((*repeated, "No such thing", ""), ("/quiz/", JSON)):
        responses.append(browser.guess(guess, path))
    responses += [client.get(path, buffered=True) for path in PATHS]
    responses += [client.head("/quiz/"), client.get("/quiz/", headers={"Range": "bytes=0-9"})]
    for response in responses:
        text = re.sub(r'(name="csrf_token" type="hidden" value=)".*?"', r"\1", response.text)
        # The CSRF token differs in content, not in length. Dates differ.
        headers = [(k, v) for k, v in response.headers if k not in ("Set-Cookie", "Date", "Expires")]
        yield response.request.path, response.status_code, text, str(headers)


@pytest.mark.parametrize("wrong", range(6))
def test_films_with_equal_earned_clues_are_indistinguishable(
    app: Flask, film: Film, monkeypatch: pytest.MonkeyPatch, wrong: int
) -> None:
    """Responses do not differ by content, length, order, status or header.

    Each of the two runs has another film of the day. The two films have the same earned clues, and
    differ in all others.
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
            {},  # all clues except the title are earned
        ][wrong],
    )
    all_films = Films([*WRONG, film, other])
    monkeypatch.setattr(films, "load", lambda _notes: all_films)
    runs = []
    for today in (film, other):
        with app.app_context():
            db.session.execute(Guess.__table__.delete())
            db.session.execute(Player.__table__.delete())
            db.session.merge(Day(day=TODAY, film=today.id))
            db.session.commit()
        runs.append(list(observations(app.test_client(), wrong)))
    for one, two in zip(*runs, strict=True):
        assert one == two


def test_each_guess_changes_clues(film: Film) -> None:
    """Validates the test above: the next guess earns a clue, so responses can differ."""
    for wrong in range(5):
        assert game.clues(film, wrong) != game.clues(film, wrong + 1)


def test_old_cookie_does_not_restore_tries(browser: Browser) -> None:
    """The cookie does not change between guesses."""
    cookies = []
    for film in WRONG[:6]:
        browser.guess(film.title)
        cookies.append(browser.client.get_cookie("__Host-quiz").value)
    assert len(set(cookies)) == 1, "expected only the player's name in the cookie"
    assert ANSWER not in cookies[0]
    browser.client.set_cookie("__Host-quiz", cookies[0])
    state = browser.guess(ANSWER).json
    assert (state["won"], state["over"], len(state["guesses"])) == (False, True, 6)


def test_deleted_cookie_starts_new_game(browser: Browser) -> None:
    for film in WRONG[:3]:
        browser.guess(film.title)
    browser.client.delete_cookie("__Host-quiz")
    assert browser.state()["guesses"] == []
    for clue in unearned_clues(0):
        assert clue not in browser.page()


@pytest.mark.parametrize("value", ["1", "x.y", "", '"1"', "IjEi.x", "W10.x", "a" * 3000])
def test_forged_cookie_is_ignored(browser: Browser, value: str) -> None:
    browser.client.set_cookie("__Host-quiz", value)
    response = browser.client.get("/quiz/today.json")
    assert response.status_code == 200
    assert response.json["guesses"] == []


def test_session_cookie_as_quiz_cookie_is_ignored(browser: Browser) -> None:
    browser.guess("Wrong a")
    session = browser.client.get_cookie("__Host-session").value
    browser.client.set_cookie("__Host-quiz", session)
    assert browser.state()["guesses"] == []


def test_concurrent_guesses_are_limited_to_six(app: Flask, browser: Browser) -> None:
    """Four concurrent wrong guesses of a player with two tries left."""
    for film in WRONG[:4]:
        browser.guess(film.title)
    cookies = {name: browser.client.get_cookie(name).value for name in ("__Host-quiz",)}
    session = browser.client.get_cookie("__Host-session").value
    barrier = Barrier(4)

    def send(film: Film) -> int:
        client = app.test_client()
        client.set_cookie("__Host-quiz", cookies["__Host-quiz"])
        client.set_cookie("__Host-session", session)
        data = {"guess": film.title, "day": browser.day, "csrf_token": browser.key}
        barrier.wait()
        return client.post(JSON, data=data).status_code

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(send, WRONG[4:])) == [200] * 4
    state = browser.state()
    assert (len(state["guesses"]), state["over"], state["won"]) == (6, True, False)
    with app.app_context():
        numbers = db.session.scalars(select(Guess.number).order_by(Guess.number)).all()
    assert numbers == [1, 2, 3, 4, 5, 6]


def test_guesses_after_end_are_ignored(app: Flask, browser: Browser) -> None:
    browser.guess(ANSWER)
    for guess in ("Wrong a", "Wrong b"):
        assert browser.guess(guess).json["won"]
        assert browser.guess(guess, "/quiz/").status_code == 303
    with app.app_context():
        assert db.session.scalar(select(func.count(Guess.id))) == 1
        assert db.session.scalars(select(Player.streak)).one() == 1


def test_guess_rate_limit_returns_429(fresh_app: Callable[..., Flask]) -> None:
    app = fresh_app()
    with app.app_context():
        db.create_all()
    browser = Browser(app.test_client())
    got = []
    for number in range(62):
        browser.client.delete_cookie("__Host-quiz")
        path = "/quiz/" if number % 2 else JSON
        got.append(browser.guess("nothing", path).status_code)
    assert got == [422] * 60 + [429] * 2, "expected one limit for form and script"


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
def test_day_changes_at_midnight_of_site(
    app: Flask,
    client: FlaskClient,
    set_time: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    zone: str,
    before: str,
    after: str,
) -> None:
    monkeypatch.setitem(app.config, "HARBOUR_TIMEZONE", ZoneInfo(zone))
    moments = [datetime.fromisoformat(f"{moment}+00:00") for moment in (before, after)]
    set_time(moments[0])
    first = client.get("/quiz/today.json").json
    old = first["day"]
    assert client.get(f"/quiz/archive/{old}").status_code == 404, "expected no page before midnight"
    assert f"/quiz/archive/{old}" not in client.get("/quiz/archive").text
    set_time(moments[1])
    second = client.get("/quiz/today.json").json
    assert date.fromisoformat(second["day"]) - date.fromisoformat(old) == timedelta(days=1)
    assert second["clues"] != first["clues"]
    assert client.get(f"/quiz/archive/{old}").status_code == 200
    assert f"/quiz/archive/{old}" in client.get("/quiz/archive").text


def test_guess_for_previous_day_is_rejected(
    browser: Browser, app: Flask, set_time: Callable[..., None]
) -> None:
    set_time(NOON + timedelta(days=1))
    with app.app_context():
        db.session.add(Day(day=TODAY + timedelta(days=1), film=WRONG[0].id))
        db.session.commit()
    response = browser.guess("Wrong b")
    assert response.status_code == 422
    assert "a new film" in response.json["problem"]
    assert response.json["day"] == "2026-11-22"
    page = browser.guess("Wrong b", "/quiz/").text
    assert 'name="day" type="hidden" value="2026-11-22"' in page, "expected the new day in the form"
    assert browser.state()["guesses"] == []


@pytest.mark.parametrize("zone", ["Nowhere/Town", "../../etc/passwd", "/etc/localtime", "\0"])
def test_invalid_time_zone_is_rejected(tmp_path: Path, zone: str) -> None:
    with pytest.raises(config.ConfigurationError, match="HARBOUR_TIMEZONE"):
        config.load(tmp_path, {"HARBOUR_TIMEZONE": zone})


def test_time_zone_defaults_to_utc(tmp_path: Path) -> None:
    assert config.load(tmp_path, {})["HARBOUR_TIMEZONE"] is timezone.utc
    settings = config.load(tmp_path, {"HARBOUR_TIMEZONE": "Europe/Dublin"})
    assert settings["HARBOUR_TIMEZONE"] == ZoneInfo("Europe/Dublin")


# --- The archive -------------------------------------------------------------------------------


def test_archive_lists_past_days(browser: Browser, app: Flask) -> None:
    with app.app_context():
        for number in range(1, 41):
            film = WRONG[number % 8]
            db.session.add(Day(day=TODAY - timedelta(days=number), film=film.id))
        db.session.add(Day(day=TODAY - timedelta(days=41), film="gone"))
        db.session.add(Day(day=TODAY + timedelta(days=1), film=SECRET.id))
        db.session.commit()

    def days_of_page(page: int) -> list[str]:
        text = browser.client.get(f"/quiz/archive?page={page}").text
        assert ANSWER not in text
        return re.findall(r'href="/quiz/archive/([\d-]+)"', text)

    days = [(TODAY - timedelta(days=number)).isoformat() for number in range(1, 41)]
    assert days_of_page(1) == days[:31]
    assert days_of_page(2) == days[31:]
    assert days_of_page(3) == []
    page = browser.client.get(f"/quiz/archive/{days[0]}")
    assert "Wrong b (1990)" in page.text
    assert "Dirk Director" in page.text
    assert browser.client.get("/quiz/archive/2026-10-11").status_code == 404, (
        "expected no page for a removed film"
    )
    assert browser.client.get("/quiz/archive/2020-01-01").status_code == 404
    assert browser.client.get("/quiz/archive?page=x").status_code == 200


# --- Caching, cookies, clean-up ----------------------------------------------------------------


def test_cache_control_of_quiz_paths(browser: Browser, app: Flask) -> None:
    with app.app_context():
        db.session.add(Day(day=TODAY - timedelta(days=1), film=WRONG[0].id))
        db.session.commit()
    other = app.test_client()
    got = {
        path: other.get(path).headers["Cache-Control"]
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
        # 404 until tomorrow.
        "/quiz/archive/2026-11-21": "public, max-age=1",
    }
    for path in ("/quiz/", JSON):
        for response in (browser.guess("Wrong a", path), browser.guess("nothing", path)):
            assert response.headers["Cache-Control"] == "private, no-store"


def test_cookie_attributes(browser: Browser) -> None:
    assert browser.client.get_cookie("__Host-quiz") is None, "expected no cookie before a guess"
    cookies = browser.guess("Wrong a").headers.getlist("Set-Cookie")
    [cookie] = [cookie for cookie in cookies if cookie.startswith("__Host-quiz=")]
    for attribute in ("HttpOnly", "SameSite=Lax", "Secure", "Path=/", "Max-Age=34560000"):
        assert attribute in cookie.split("; ")
    assert "Domain" not in cookie


def test_titles_are_identical_for_all_players(browser: Browser, app: Flask) -> None:
    before = app.test_client().get("/quiz/titles.json")
    browser.guess("Wrong a")
    browser.guess(ANSWER)
    after = browser.client.get("/quiz/titles.json")
    assert after.data == before.data
    assert after.json == sorted(film.title for film in [*WRONG, SECRET])
    headers = {"If-None-Match": before.headers["ETag"]}
    assert browser.client.get("/quiz/titles.json", headers=headers).status_code == 304


def test_titles_are_small(client: FlaskClient) -> None:
    """The limit is half of that of a page, because the script loads them when typing starts."""
    assert len(gzip.compress(client.get("/quiz/titles.json").data, 5)) < 35_000


def test_script_matches_page(browser: Browser) -> None:
    """The page has all elements and URLs that the script uses."""
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


def test_inactive_players_are_deleted(
    app: Flask, runner: FlaskCliRunner, browser: Browser, set_time: Callable[..., None]
) -> None:
    browser.guess("Wrong a")
    set_time(NOON + timedelta(days=400))
    assert "Deleted no players." in runner.invoke(args=["quiz", "forget"]).output
    set_time(NOON + timedelta(days=401))
    assert "Deleted 1 player." in runner.invoke(args=["quiz", "forget"]).output
    with app.app_context():
        assert db.session.scalar(select(func.count(Guess.id))) == 0
        assert db.session.scalar(select(func.count(Player.id))) == 0
        assert db.session.scalar(select(func.count(Day.day))) == 1, "expected the days to be kept"
    # The cookie of a deleted player starts a new game.
    browser.day = (TODAY + timedelta(days=401)).isoformat()
    assert browser.guess("Wrong a").status_code == 200
    assert len(browser.state()["guesses"]) == 1
