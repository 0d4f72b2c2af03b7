"""Films of the quiz: shipped films, matching of titles, order of the days, clues and streaks."""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import fields, replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

import make_films
from harbour.config import ConfigurationError
from harbour.quiz import films, game
from harbour.quiz.films import Film, Films, FilmsError, Snippet, key
from harbour.quiz.game import BLOCK, MIN_INTERVAL, Order, Streak, clues, without_title

SHIPPED = films.load()
JAWS = next(film for film in SHIPPED.by_id.values() if film.title == "Jaws")
TEN_YEARS = 3653  # days, including three leap days


# --- Shipped films -----------------------------------------------------------------------------


def test_shipped_films_match_selection() -> None:
    assert len(SHIPPED) == 4222
    for film in SHIPPED.by_id.values():
        assert 1970 <= film.year <= 2014, film
        assert film.runtime >= 60, film
        assert film.reviews >= 40, film
        assert 0 <= film.score <= 100, film
        assert film.genres, film
        assert film.directors, film
        assert 1 <= len(film.cast) <= 6, film
        assert not film.snippets, film
        assert film.audience is None, film
    titles = Counter(film.title.casefold() for film in SHIPPED.by_id.values())
    assert sum(number > 1 for number in titles.values()) == 44
    assert len({film.name.casefold() for film in SHIPPED.by_id.values()}) == 4222


def test_make_films_selects_matching_films(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The source has the schema of bokeh-sampledata. The selection excludes all films except one."""
    matching = {
        "ID": 1,
        "imdbID": "tt1",
        "Title": "Good  one (2001 film)",
        "Year": 2001,
        "Runtime": 90.0,
        "Genre": "Drama, War",
        "Director": "Ada",
        "Language": "English",
        "Cast": "Bo, Cy, Di",
        "Metacritic": None,
        "Country": "Ireland",
        "Oscars": 0,
        "Meter": 50,
        "Reviews": 40,
        "Fresh": 20,
        "Rating": 5.5,
        "BoxOffice": 7.0,
    }
    excluded = [
        {"Year": 1969},
        {"Runtime": 59.0},
        {"Genre": ""},
        {"Director": ""},
        {"Cast": "", "Title": "No cast"},
        {"Language": "English, French", "Cast": "Bo"},
        {"Meter": None},
        {"Reviews": 39},
        {"imdbID": "tt1", "Title": "The same film again"},
    ]
    columns = {
        "omdb": "ID imdbID Title Year Runtime Genre Director Cast Metacritic Language Country Oscars",
        "tomatoes": "ID Meter Reviews Fresh Rating BoxOffice",
    }
    with closing(sqlite3.connect(tmp_path / "movies.db")) as database:
        for table, names in columns.items():
            quoted = ", ".join(f'"{name}"' for name in names.split())
            database.execute(f"CREATE TABLE {table} ({quoted})")
            for number, change in enumerate([{}, *excluded], 1):
                row = {**matching, "ID": number, "imdbID": f"tt{number}", **change}
                values = [row[name] for name in names.split()]
                placeholders = ", ".join("?" * len(values))
                database.execute(f"INSERT INTO {table} VALUES ({placeholders})", values)  # noqa: S608 (constant names)
        database.commit()
    monkeypatch.setattr(make_films, "FILMS", tmp_path / "films.jsonl")
    make_films.main(str(tmp_path / "movies.db"))
    [film] = films.load("", tmp_path / "films.jsonl").by_id.values()
    assert film == Film(
        id="tt1",
        title="Good one",
        year=2001,
        genres=("Drama", "War"),
        score=50,
        reviews=40,
        fresh=20,
        average=5.5,
        metacritic=None,
        runtime=90,
        countries=("Ireland",),
        directors=("Ada",),
        gross=7,
        # Sorted by number of films: Bo has one more than the others.
        cast=("Cy", "Di", "Bo"),
        oscars=None,
    )
    names = json.loads((tmp_path / "films.jsonl").read_text().splitlines()[0])
    assert names == [field.name for field in fields(Film)][: len(names)]


def test_load_without_file_returns_no_films(tmp_path: Path) -> None:
    assert len(films.load("", tmp_path / "nothing")) == 0


# --- Matching of titles ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("guess", "year", "expected"),
    [
        ("jaws", 1975, "Jaws (1975)"),
        ("  JAWS!! ", 2000, "Jaws (1975)"),
        ("Jaws (1975)", 2000, "Jaws (1975)"),
        ("Jaws, 1976", 2000, "Jaws (1975)"),  # one year off
        ("Jaws 1990", 2000, None),
        ("shining", 1980, "The Shining (1980)"),
        ("Shining, The", 1980, "The Shining (1980)"),
        ("les miserables", 2012, "Les Misérables (2012)"),
        ("les miserables", 1998, "Les Misérables (1998)"),
        ("Les Misérables 1998", 2012, "Les Misérables (1998)"),
        ("Aeon Flux", 2005, "Æon Flux (2005)"),
        ("spiderman 2", 2004, "Spider-Man 2 (2004)"),
        ("Oceans 11", 2001, "Ocean's Eleven (2001)"),
        ("Star Trek 2: The Wrath of Khan", 1982, "Star Trek II: The Wrath of Khan (1982)"),
        ("Rocky 4", 1985, "Rocky IV (1985)"),
        ("terminator 2", 1991, "Terminator 2: Judgment Day (1991)"),
        ("kill bill vol. 2", 2004, "Kill Bill: Volume 2 (2004)"),
        ("Kill Bill 2", 2004, "Kill Bill: Volume 2 (2004)"),
        ("naked gun 2 1/2", 1991, "The Naked Gun 2½: The Smell of Fear (1991)"),
        ("Monty Pythons Life of Brian", 1979, "Monty Python\u2019s Life of Brian (1979)"),
        ("M*A*S*H", 1970, "MASH (1970)"),
        ("thelma and louise", 1991, "Thelma & Louise (1991)"),
        ("star wars", 1977, "Star Wars: Episode IV \u2013 A New Hope (1977)"),
        ("star wars", 1983, "Star Wars: Episode VI \u2013 Return of the Jedi (1983)"),
        # Numbers can be part of the title or a year.
        ("Blues Brothers 2000", 1998, "Blues Brothers 2000 (1998)"),
        ("Fantasia 2000 (1999)", 1999, "Fantasia 2000 (1999)"),
        ("Fantasia 2000", 1999, "Fantasia 2000 (1999)"),
        *((empty, 1975, None) for empty in ("", "!!!", "(1975)", "1975", "the", "\u0301", "鮫")),
    ],
)
def test_find_returns_film_for_guess(guess: str, year: int, expected: str | None) -> None:
    film = SHIPPED.find(guess, year)
    assert (film and film.name) == expected


def test_find_returns_every_film_by_title_and_year() -> None:
    """Covers both cases, titles with and without the year, and all suggestions."""
    for film in SHIPPED.by_id.values():
        for guess in (film.title, film.title.upper(), film.name, f"{film.title} {film.year}"):
            assert SHIPPED.find(guess, film.year) == film, guess
    for label in SHIPPED.labels:
        assert SHIPPED.find(label, 1900) is not None, label


def test_labels_of_equal_titles_contain_year() -> None:
    assert len(set(SHIPPED.labels)) == len(SHIPPED)
    assert list(SHIPPED.labels) == sorted(SHIPPED.labels)
    assert {"King Kong (1976)", "King Kong (2005)", "Jaws"} <= set(SHIPPED.labels)
    assert "Jaws (1975)" not in SHIPPED.labels


@pytest.mark.parametrize(
    ("guess", "titles"),
    [
        ("Schindlers Lst", ["Schindler's List"]),
        ("Shawshank Redemtion", ["The Shawshank Redemption"]),
        ("xyzzy plugh", []),
        ("", []),
        ("!!!", []),
    ],
)
def test_similar_titles_of_mistyped_guess(guess: str, titles: list[str]) -> None:
    assert SHIPPED.similar_titles(guess) == titles


@given(st.text())
def test_find_accepts_any_text(text: str) -> None:
    SHIPPED.find(text, 1990)
    assert key(text) == key(text.upper().lower()) or not text.isascii()


# --- Order of the days -------------------------------------------------------------------------


@pytest.mark.parametrize("begin", ["2014-03-01", "2026-11-21", "2033-07-04"])
def test_order_repeats_no_film_within_ten_years(begin: str) -> None:
    """Covers 25 years, with different positions in a round on the first day."""
    order = Order(SHIPPED, "secret")
    first = date.fromisoformat(begin)
    assert timedelta(days=TEN_YEARS) == MIN_INTERVAL
    last: dict[str, int] = {}
    for number in range(25 * 365):
        film = order.film(first + timedelta(days=number))
        interval = number - last.get(film, -TEN_YEARS)
        assert interval >= TEN_YEARS, f"{film} repeated after {interval} days"
        last[film] = number
    assert len(SHIPPED) - BLOCK + 1 >= TEN_YEARS


def test_order_contains_every_film() -> None:
    order = Order(SHIPPED, "secret")
    begin = date.fromordinal(len(SHIPPED) * 174)
    scheduled = {order.film(begin + timedelta(days=number)) for number in range(len(SHIPPED))}
    assert scheduled == SHIPPED.by_id.keys()


def test_order_with_new_key_skips_recent_films() -> None:
    begin = date.fromisoformat("2026-11-21")
    recent: list[str] = []
    for secret in range(3):
        order = Order(SHIPPED, f"key {secret}")
        for number in range(400 * secret, 400 * secret + 400):
            recent.append(order.film(begin + timedelta(days=number), set(recent)))
    assert len(set(recent)) == len(recent)
    # Without `recent`, the orders of different keys repeat films.
    orders = [Order(SHIPPED, f"key {number}") for number in range(3)]
    days = [begin + timedelta(days=number) for number in range(1200)]
    assert len({orders[n // 400].film(day) for n, day in enumerate(days)}) < 1200


def test_order_depends_on_key() -> None:
    days = [date.fromisoformat("2026-11-21") + timedelta(days=n) for n in range(200)]
    orders = [Order(SHIPPED, secret) for secret in ("a", "a", "b")]
    one, same, other = ([order.film(day) for day in days] for order in orders)
    assert one == same
    assert sum(x == y for x, y in zip(one, other, strict=True)) <= 3
    # Neither the position in the file nor the IMDb ID correlates with the days.
    positions = {number: n for n, number in enumerate(SHIPPED.by_id)}
    for ranks in ([positions[x] for x in one], [int(x[2:]) for x in one]):
        increases = sum(a < b for a, b in itertools.pairwise(ranks))
        assert 70 < increases < 130, f"found {increases} increases of 199, expected about half"


def test_order_is_independent_of_file_order() -> None:
    reversed_films = Films(reversed(SHIPPED.by_id.values()))
    day = date.fromisoformat("2026-11-21")
    assert Order(reversed_films, "a").film(day) == Order(SHIPPED, "a").film(day)


def test_order_with_single_film_repeats_it() -> None:
    films_of_one = Films([JAWS])
    assert Order(films_of_one, "a").film(date(2026, 11, 21), {JAWS.id}) == JAWS.id


# --- Clues -------------------------------------------------------------------------------------


def test_clues_before_first_guess() -> None:
    assert [(clue.label, clue.text) for clue in clues(JAWS, 0)] == [
        ("Year", "1975"),
        ("Genres", ", ".join(JAWS.genres)),
        ("Critics\u2019 score", f"{JAWS.score}%"),
    ]


def test_each_wrong_guess_adds_a_clue() -> None:
    for film in SHIPPED.by_id.values():
        steps = [clues(film, wrong) for wrong in range(game.TRIES)]
        for before, after in itertools.pairwise(steps):
            assert after[: len(before)] == before
            assert len(after) > len(before), film
        assert all(clue.text for clue in steps[-1])


def test_clues_contain_operator_notes() -> None:
    film = replace(
        JAWS,
        audience=90,
        snippets=(Snippet("Jaws bites.", "The Quay"), Snippet("So good."), Snippet("Oh.")),
    )
    new = [
        [(clue.label, clue.text) for clue in clues(film, wrong) if clue not in clues(JAWS, wrong)]
        for wrong in range(game.TRIES)
    ]
    score = ("Audience\u2019s score", "90%")
    first = ("From a review", "\u201c… bites.\u201d (The Quay)")
    second, third = (("From a review", f"\u201c{text}\u201d") for text in ("So good.", "Oh."))
    assert new == [
        [],
        [],
        [score, first],
        [score, first, second],
        [score, first, second, third],
        [score, first, second, third],
    ]


@pytest.mark.parametrize(
    ("title", "text", "expected"),
    [
        ("Jaws", "JAWS is not 'jaws', it has jaws!", "… is not …, it has …!"),
        ("The Shining", "A shining example, the Shining shines.", "… example, … shines."),
        ("Spider-Man 2", "Spiderman II? Spider-Man 2.", "…? …."),
        ("Kill Bill: Volume 2", "Kill Bill, vol. 2 beats Kill Bill.", "… beats …."),
        ("Les Misérables", "Some miserables; LES MISERABLES", "Some miserables; …"),
        ("Heat", "No heathen in here.", "No heathen in here."),
    ],
)
def test_without_title_hides_title_in_review(title: str, text: str, expected: str) -> None:
    assert without_title(text, replace(JAWS, title=title)) == expected


@pytest.mark.parametrize(
    ("notes", "message"),
    [
        ("[]", "expected an object with films"),
        ("{", "cannot be read"),
        ('{"ID": 1}', "expected an object with"),
        ('{"ID": {"stars": 1}}', "expected an object with"),
        ('{"ID": {"audience": 101}}', "from 0 to 100"),
        ('{"ID": {"audience": true}}', "from 0 to 100"),
        ('{"ID": {"snippets": ["x"]}}', "an object with text and source"),
        ('{"ID": {"snippets": 1}}', "an object with text and source"),
        ('{"ID": {"snippets": [{"text": ""}]}}', "an object with text and source"),
        ('{"ID": {"snippets": [{"text": 1}]}}', "an object with text and source"),
        ('{"ID": {"snippets": [{"text": "x", "source": 1}]}}', "an object with text and source"),
    ],
)
def test_load_rejects_invalid_notes(
    tmp_path: Path, fresh_app: Callable[..., Flask], notes: str, message: str
) -> None:
    path = tmp_path / "notes.json"
    path.write_text(notes.replace("ID", JAWS.id))
    with pytest.raises(FilmsError, match=message):
        films.load(str(path))
    with pytest.raises(ConfigurationError, match="HARBOUR_FILM_NOTES"):
        fresh_app(HARBOUR_FILM_NOTES=str(path))


def test_load_adds_notes_to_film(tmp_path: Path) -> None:
    path = tmp_path / "notes.json"
    snippet = {"text": "Good.", "source": "Me"}
    path.write_text(json.dumps({JAWS.id: {"audience": 90, "snippets": [snippet]}, "tt0": {"audience": 1}}))
    film = films.load(str(path)).by_id[JAWS.id]
    assert (film.audience, film.snippets) == (90, (Snippet("Good.", "Me"),))
    assert len(films.load(str(path))) == len(SHIPPED)


# --- Streaks -----------------------------------------------------------------------------------


def test_streak_ends_after_missed_or_lost_day() -> None:
    day = date(2026, 11, 21)
    streak = Streak()
    for number in range(3):
        streak = streak.after(day + timedelta(days=number), won=True)
    assert streak == Streak(3, 3, day + timedelta(days=2))
    assert [streak.at(day + timedelta(days=number)) for number in (2, 3, 4)] == [3, 3, 0]
    lost = streak.after(day + timedelta(days=3), won=False)
    assert (lost.at(day + timedelta(days=3)), lost.best) == (0, 3)
    assert lost.after(day + timedelta(days=4), won=True).days == 1
    assert streak.after(day + timedelta(days=4), won=True).days == 1, (
        "expected a new streak after a missed day"
    )
