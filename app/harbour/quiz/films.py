"""The films: what is known of each, and which one somebody means by what they typed."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

SHIPPED = Path(__file__).with_name("films.jsonl")
MAX_TITLE = 120  # characters of a guess; the longest title has 71

_WORDS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen"),
)
_ROMAN = ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii", "xiii")
_ALIKE = {
    **{word: str(number) for number, word in enumerate(_WORDS)},
    **{roman: str(number) for number, roman in enumerate(_ROMAN, 1)},
    "doctor": "dr",
    "mister": "mr",
    "versus": "vs",
    "saint": "st",
}
_LETTERS = str.maketrans({"æ": "ae", "ø": "o", "œ": "oe", "đ": "d", "ł": "l", "&": " and "})
# What people leave out: "Kill Bill 1" is "Kill Bill: Volume 1".
_PART = {"part", "vol", "volume", "episode", "chapter"}
_ARTICLES = {"the", "a", "an", "and"}
_YEAR = re.compile(r"(.*?)[\s,(\[]+((?:19|20)[0-9]{2})\s*[)\]]?\s*")
# What follows is a subtitle, after a colon or a dash: "Star Wars: …".
SUBTITLE = re.compile(r":\s|\s[\u2013\u2014-]\s")


class FilmsError(ValueError):
    """A file with films, or notes about them, is not as it should be."""


@dataclass(frozen=True)
class Snippet:
    """A sentence of a review.

    Attributes:
        text: what was written.
        source: who wrote it, and where.
    """

    text: str
    source: str = ""


@dataclass(frozen=True)
class Film:
    """A film. The attributes are described in FILMS.md, but for these.

    Attributes:
        audience: per cent of the audience who liked it, where the site's operator has a licence.
        snippets: sentences of reviews, likewise.
    """

    id: str
    title: str
    year: int
    genres: tuple[str, ...]
    score: int
    reviews: int
    fresh: int
    average: float | None
    metacritic: int | None
    runtime: int
    countries: tuple[str, ...]
    directors: tuple[str, ...]
    cast: tuple[str, ...]
    gross: int | None
    oscars: int | None
    audience: int | None = None
    snippets: tuple[Snippet, ...] = field(default=())

    @property
    def name(self) -> str:
        """The title and the year."""
        return f"{self.title} ({self.year})"


class Films:
    """All films that may come, and may be guessed."""

    def __init__(self, films: Iterable[Film]) -> None:
        self.by_id = {film.id: film for film in films}

    def __len__(self) -> int:
        return len(self.by_id)

    @cached_property
    def _by_key(self) -> dict[str, list[Film]]:
        """The films by all that they may be called: the title, and what is before a subtitle."""
        found: dict[str, list[Film]] = {}
        for film in self.by_id.values():
            ends = [match.start() for match in SUBTITLE.finditer(film.title)]
            for called in {key(film.title[:end]) for end in (None, *ends)} - {""}:
                found.setdefault(called, []).append(film)
        return found

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """What is suggested to everybody: every title, with the year where two share it."""
        keys = [key(film.title) for film in self.by_id.values()]
        shared = {one for one in keys if len(self._by_key[one]) > 1 and keys.count(one) > 1}
        return tuple(
            sorted(
                film.name if one in shared else film.title
                for one, film in zip(keys, self.by_id.values(), strict=True)
            )
        )

    def find(self, text: str, year: int) -> Film | None:
        """Return the film that somebody means, or None when there is none of this name.

        Args:
            text: what was typed: a title, and the year if they like.
            year: the year that everybody is told. Of several films of one name, the one of this
                year is meant, unless another year was typed.
        """
        called = key(text)
        found = self._by_key.get(called, [])
        if not found and (match := _YEAR.fullmatch(text)):
            called, year = key(match[1]), int(match[2])
            # Out by one is right: films begin at festivals, and people remember the cinema.
            found = [film for film in self._by_key.get(called, []) if abs(film.year - year) <= 1]
        # Nothing but the year decides between films of one name: the answer must not.
        return min(
            found,
            key=lambda film: (film.year != year, key(film.title) != called, film.year, film.id),
            default=None,
        )

    def near(self, text: str) -> list[str]:
        """Return up to three titles that somebody may have meant who mistyped one."""
        typed = key(text)
        # Comparing takes long: only with what is about as long.
        long = [called for called in self._by_key if abs(len(called) - len(typed)) <= 2]
        found = get_close_matches(typed, long, n=3, cutoff=0.8)
        return list(dict.fromkeys(self._by_key[called][0].title for called in found))


def key(text: str) -> str:
    """Return what is left of a title when all is gone that people write in different ways.

    Articles, accents, capitals, punctuation and blanks go; Roman numerals and numbers in words
    become digits. Empty for what has neither letters nor digits.
    """
    plain = unicodedata.normalize("NFKD", text.casefold().translate(_LETTERS))
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    plain = re.sub(r"['\u2018\u2019`\u2044.*]", "", plain)  # It's, Dr., ½, M*A*S*H
    words = [_ALIKE.get(word, word) for word in re.findall(r"\w+", plain.replace("_", " "))]
    kept = [
        word
        for word, after in zip(words, [*words[1:], ""], strict=False)
        if word not in _ARTICLES and not (word in _PART and after.isdecimal())
    ]
    return "".join(kept or words)


@lru_cache(maxsize=4)
def load(notes: str = "", shipped: Path = SHIPPED) -> Films:
    """Return the films, with an operator's notes about them.

    Args:
        notes: a file of JSON, such as ``{"tt0066026": {"audience": 86, "snippets": [{"text": "…",
            "source": "…"}]}}``; empty for none.
        shipped: where the films are; where there is no such file, there are none.

    Raises:
        FilmsError: a file cannot be read, or something in it is not as it should be.
    """
    try:
        lines = shipped.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return Films(())
    names, *rows = map(json.loads, lines)
    films = {row[0]: Film(**dict(zip(names, map(_frozen, row), strict=True))) for row in rows}
    for number, note in _notes(notes).items():
        if number in films:
            films[number] = replace(films[number], **_note(number, note))
    return Films(films.values())


def _frozen(value: Any) -> Any:  # noqa: ANN401 (any JSON)
    return tuple(value) if isinstance(value, list) else value


def _notes(path: str) -> Mapping[str, Any]:
    if not path:
        return {}
    try:
        notes = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FilmsError(f"{path} cannot be read: {error}") from error
    if not isinstance(notes, dict):
        raise FilmsError(f"{path} is not an object of films by their ids")
    return notes


def _note(number: str, note: Any) -> dict[str, Any]:  # noqa: ANN401 (likewise)
    """Return an operator's note about a film as values of its attributes."""
    if not isinstance(note, dict) or note.keys() - {"audience", "snippets"}:
        raise FilmsError(f"{number}: expected an object with audience, snippets or both")
    audience, snippets = note.get("audience"), note.get("snippets", [])
    if audience is not None and (type(audience) is not int or not 0 <= audience <= 100):
        raise FilmsError(f"{number}: audience is {audience!r}, expected a number from 0 to 100")
    try:
        read = tuple(Snippet(**snippet) for snippet in snippets)
    except TypeError:
        read = (Snippet(""),)
    if not all(s.text and isinstance(s.text, str) and isinstance(s.source, str) for s in read):
        raise FilmsError(f"{number}: a snippet is an object with a text and a source")
    return {"audience": audience, "snippets": read}
