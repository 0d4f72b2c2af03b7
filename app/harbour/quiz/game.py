"""The rules of the quiz, without pages and tables: the film of each day, clues and results."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Any

from ..formats import long_date, money, plural, thousands
from .films import SUBTITLE, Film, Films, key

TRIES = 6
# A film is not repeated for ten years, including leap days.
MIN_INTERVAL = timedelta(days=3653)
# Size of the blocks that are shuffled in each round. Between two days of one film come all films
# except one block: with 4,222 films and blocks of 500, at least 3,723 days.
BLOCK = 500


def now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(timezone.utc)


def today(zone: tzinfo) -> date:
    """Return the date in the site's time zone, independent of the visitor."""
    return now().astimezone(zone).date()


# --- Film of a day -----------------------------------------------------------------------------


class Order:
    """The order of the films, which cannot be predicted without the secret.

    Each round contains every film once. Films are sorted by a keyed hash of their IDs. Each round
    shuffles blocks of positions by a hash that includes the round's number, so that a film is repeated
    after one round, plus or minus a block, on a day that earlier rounds do not reveal.
    """

    def __init__(self, films: Films, secret: str) -> None:
        # A separate key, because the secret also signs cookies.
        self._key = self._hash(secret.encode(), "harbour quiz order")
        self._films = sorted(films.by_id, key=lambda number: self._hash(self._key, number))
        self._block = lru_cache(maxsize=2)(self._sorted)

    @staticmethod
    def _hash(secret: bytes, text: str) -> bytes:
        return hmac.digest(secret, text.encode(), hashlib.sha256)

    def _sorted(self, round_: int, begin: int) -> list[str]:
        """Return a block of positions, shuffled for a round."""
        block = self._films[begin : begin + BLOCK]
        return sorted(block, key=lambda number: self._hash(self._key, f"{round_} {number}"))

    def _at(self, position: int) -> str:
        round_, place = divmod(position, len(self._films))
        begin = place - place % BLOCK
        return self._block(round_, begin)[place - begin]

    def film(self, day: date, recent: Collection[str] = ()) -> str:
        """Return the ID of a day's film.

        Args:
            day: the day.
            recent: IDs of the last ten years, possibly from another key or other films.
        """
        for step in range(len(self._films)):
            if (number := self._at(day.toordinal() + step)) not in recent:
                return number
        return self._at(day.toordinal())  # fewer films than days in ten years


# --- Clues -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Clue:
    """A clue about a film.

    Attributes:
        label: a label such as "Director".
        text: the content.
    """

    label: str
    text: str


def clues(film: Film, wrong: int) -> list[Clue]:
    """Return the clues after a number of wrong guesses, from 0 to 5."""
    steps = (_first, _second, _third, _fourth, _fifth, _sixth)
    return [clue for step in steps[: wrong + 1] for clue in step(film)]


def _first(film: Film) -> Iterator[Clue]:
    yield Clue("Year", str(film.year))
    yield Clue("Genre" if len(film.genres) == 1 else "Genres", ", ".join(film.genres))
    yield Clue("Critics\u2019 score", f"{film.score}%")


def _second(film: Film) -> Iterator[Clue]:
    hours, minutes = divmod(film.runtime, 60)
    yield Clue("Running time", f"{hours} h {minutes} min ({film.runtime} minutes)")
    if film.countries:
        yield Clue("Country" if len(film.countries) == 1 else "Countries", ", ".join(film.countries))


def _third(film: Film) -> Iterator[Clue]:
    average = f"; {film.average:g} of 10 on average" if film.average else ""
    metacritic = f"; Metacritic {film.metacritic} of 100" if film.metacritic is not None else ""
    about = f"about {thousands(film.fresh)} of {plural(film.reviews, 'critic')} liked it"
    yield Clue("Reviews", f"{about}{average}{metacritic}")
    if film.audience is not None:
        yield Clue("Audience\u2019s score", f"{film.audience}%")
    yield from _snippet(film, 0)


def _fourth(film: Film) -> Iterator[Clue]:
    yield Clue("In the cast", ", ".join(film.cast[: _half(film)]))
    if film.gross:
        yield Clue("Box office", f"{money(film.gross)}, as reported")
    yield from _snippet(film, 1)


def _fifth(film: Film) -> Iterator[Clue]:
    yield Clue("Director" if len(film.directors) == 1 else "Directors", ", ".join(film.directors))
    if film.oscars:
        yield Clue("Won", plural(film.oscars, "Oscar"))
    yield from _snippet(film, 2)


def _sixth(film: Film) -> Iterator[Clue]:
    if rest := film.cast[_half(film) :]:
        yield Clue("Also in the cast", ", ".join(rest))
    words = re.findall(r"\w[\w'\u2019]*", film.title)
    yield Clue("Title", f"{plural(len(words), 'word')}: {' '.join(f'{word[0]}…' for word in words)}")


def _half(film: Film) -> int:
    return (len(film.cast) + 1) // 2


def _snippet(film: Film, number: int) -> Iterator[Clue]:
    for snippet in film.snippets[number : number + 1]:
        source = f" ({snippet.source})" if snippet.source else ""
        yield Clue("From a review", f"“{without_title(snippet.text, film)}”{source}")


def without_title(text: str, film: Film) -> str:
    """Return a text with dots in place of the title and its parts."""
    parts = {film.title, *SUBTITLE.split(film.title)}
    hidden = {key(part) for part in parts} - {""}
    words = list(re.finditer(r"[\w'\u2019&*.-]*\w[\w'\u2019&*-]*", text))
    max_words = max(len(part.split()) for part in parts) + 2  # an article, a dash
    result, position, first = "", 0, 0  # the text up to a position
    while first < len(words):
        for last in range(min(first + max_words, len(words)) - 1, first - 1, -1):
            begin, end = words[first].start(), words[last].end()
            if key(text[begin:end]) in hidden:
                result, position, first = f"{result}{text[position:begin]}…", end, last
                break
        first += 1
    return result + text[position:]


# --- State of a game ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Game:
    """A player's game of one day.

    Attributes:
        day: the day.
        film: the film. Pages use the methods, which omit unearned clues.
        guesses: guesses in order.
    """

    day: date
    film: Film
    guesses: Sequence[Film] = ()

    @property
    def won(self) -> bool:
        """Return whether the film was guessed."""
        return any(guess.id == self.film.id for guess in self.guesses)

    @property
    def over(self) -> bool:
        """Return whether the game is over and the answer can be shown."""
        return self.won or len(self.guesses) >= TRIES

    @property
    def left(self) -> int:
        """The number of tries left."""
        return 0 if self.over else TRIES - len(self.guesses)

    def clues(self) -> list[Clue]:
        """Return the clues that the player has earned."""
        return clues(self.film, TRIES - 1 if self.over else len(self.guesses))

    def share(self, town: str, url: str) -> str:
        """Return a result to share, without any information about the film."""
        tries = str(len(self.guesses)) if self.won else "X"
        squares = "".join("🟩" if guess.id == self.film.id else "🟥" for guess in self.guesses)
        return f"{town}\u2019s film of {_day(self.day)}: {tries}/{TRIES}\n{squares}\n{url}"

    def as_json(self) -> dict[str, Any]:
        """Return the state for pages and their script, without unearned clues."""
        return {
            "day": self.day.isoformat(),
            "clues": [{"label": clue.label, "text": clue.text} for clue in self.clues()],
            "guesses": [{"name": guess.name, "right": guess.id == self.film.id} for guess in self.guesses],
            "tries": TRIES,
            "left": self.left,
            "over": self.over,
            "won": self.won,
            "answer": self.film.name if self.over else None,
        }


def _day(day: date) -> str:
    return long_date(datetime(day.year, day.month, day.day))  # noqa: DTZ001 (a date without time)


@dataclass(frozen=True)
class Streak:
    """Consecutive days on which a player guessed the film.

    Attributes:
        days: length up to `last`.
        best: longest streak so far.
        last: last day of the streak, or None.
    """

    days: int = 0
    best: int = 0
    last: date | None = None

    def at(self, day: date) -> int:
        """Return the streak on a day: 0 if a day was missed."""
        return self.days if self.last and day - self.last <= timedelta(days=1) else 0

    def after(self, day: date, *, won: bool) -> Streak:
        """Return the streak after the game of a day."""
        if not won:
            return Streak(0, self.best, self.last)
        days = self.at(day) + 1
        return Streak(days, max(self.best, days), day)
