"""The films, and the matching of guesses to films."""

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
_EQUIVALENTS = {
    **{word: str(number) for number, word in enumerate(_WORDS)},
    **{roman: str(number) for number, roman in enumerate(_ROMAN, 1)},
    "doctor": "dr",
    "mister": "mr",
    "versus": "vs",
    "saint": "st",
}
_LETTERS = str.maketrans({"æ": "ae", "ø": "o", "œ": "oe", "đ": "d", "ł": "l", "&": " and "})
# Words that visitors omit before a number: "Kill Bill 1" matches "Kill Bill: Volume 1".
_PART = {"part", "vol", "volume", "episode", "chapter"}
_ARTICLES = {"the", "a", "an", "and"}
_YEAR = re.compile(r"(.*?)[\s,(\[]+((?:19|20)[0-9]{2})\s*[)\]]?\s*")
# Separators before a subtitle: "Star Wars: …".
SUBTITLE = re.compile(r":\s|\s[\u2013\u2014-]\s")


class FilmsError(ValueError):
    """A file of films or notes is invalid."""


@dataclass(frozen=True)
class Snippet:
    """A quotation from a review.

    Attributes:
        text: the quotation.
        source: author or publication.
    """

    text: str
    source: str = ""


@dataclass(frozen=True)
class Film:
    """A film. FILMS.md describes the other attributes.

    Attributes:
        audience: audience score in percent, from the operator's notes.
        snippets: quotations from reviews, from the operator's notes.
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
        """Title and year."""
        return f"{self.title} ({self.year})"


class Films:
    """All films of the quiz."""

    def __init__(self, films: Iterable[Film]) -> None:
        self.by_id = {film.id: film for film in films}

    def __len__(self) -> int:
        return len(self.by_id)

    @cached_property
    def _by_key(self) -> dict[str, list[Film]]:
        """Films by normalised title, and by the part before a subtitle."""
        by_key: dict[str, list[Film]] = {}
        for film in self.by_id.values():
            ends = [match.start() for match in SUBTITLE.finditer(film.title)]
            for name in {key(film.title[:end]) for end in (None, *ends)} - {""}:
                by_key.setdefault(name, []).append(film)
        return by_key

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """All titles for suggestions, with the year if several films have the same title."""
        keys = [key(film.title) for film in self.by_id.values()]
        shared = {one for one in keys if len(self._by_key[one]) > 1 and keys.count(one) > 1}
        return tuple(
            sorted(
                film.name if one in shared else film.title
                for one, film in zip(keys, self.by_id.values(), strict=True)
            )
        )

    def find(self, text: str, year: int) -> Film | None:
        """Return the film for a guess, or None if no title matches.

        Args:
            text: the guess: a title, optionally with the year.
            year: the year in the first clue, which decides between films of the same name unless the
                guess contains a year.
        """
        name = key(text)
        matches = self._by_key.get(name, [])
        if not matches and (match := _YEAR.fullmatch(text)):
            name, year = key(match[1]), int(match[2])
            # Accept one year off, because festival and cinema releases differ.
            matches = [film for film in self._by_key.get(name, []) if abs(film.year - year) <= 1]
        # Decide by the year only, because the result must not depend on the answer.
        return min(
            matches,
            key=lambda film: (film.year != year, key(film.title) != name, film.year, film.id),
            default=None,
        )

    def similar_titles(self, text: str) -> list[str]:
        """Return up to three titles that are similar to a mistyped one."""
        guess = key(text)
        # Fuzzy matching is slow, so compare only titles of similar length.
        candidates = [name for name in self._by_key if abs(len(name) - len(guess)) <= 2]
        matches = get_close_matches(guess, candidates, n=3, cutoff=0.8)
        return list(dict.fromkeys(self._by_key[name][0].title for name in matches))


def key(text: str) -> str:
    """Normalise a title, so that different spellings compare equal.

    Removes articles, accents, capitals, punctuation and spaces; converts Roman numerals and number
    words to digits. Returns "" for text without letters or digits.
    """
    plain = unicodedata.normalize("NFKD", text.casefold().translate(_LETTERS))
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    plain = re.sub(r"['\u2018\u2019`\u2044.*]", "", plain)  # It's, Dr., ½, M*A*S*H
    words = [_EQUIVALENTS.get(word, word) for word in re.findall(r"\w+", plain.replace("_", " "))]
    significant = [
        word
        for word, after in zip(words, [*words[1:], ""], strict=False)
        if word not in _ARTICLES and not (word in _PART and after.isdecimal())
    ]
    return "".join(significant or words)


@lru_cache(maxsize=4)
def load(notes: str = "", shipped: Path = SHIPPED) -> Films:
    """Return the films with the operator's notes.

    Args:
        notes: path of a JSON file such as ``{"tt0066026": {"audience": 86, "snippets": [{"text": "…",
            "source": "…"}]}}``; empty for none.
        shipped: path of the films; a missing file means no films.

    Raises:
        FilmsError: a file cannot be read, or its content is invalid.
    """
    try:
        lines = shipped.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return Films(())
    names, *rows = map(json.loads, lines)
    films = {row[0]: Film(**dict(zip(names, map(_freeze, row), strict=True))) for row in rows}
    for number, note in _notes(notes).items():
        if number in films:
            films[number] = replace(films[number], **_note(number, note))
    return Films(films.values())


def _freeze(value: Any) -> Any:  # noqa: ANN401 (any JSON)
    return tuple(value) if isinstance(value, list) else value


def _notes(path: str) -> Mapping[str, Any]:
    if not path:
        return {}
    try:
        notes = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FilmsError(f"{path}: cannot be read: {error}") from error
    if not isinstance(notes, dict):
        raise FilmsError(f"{path}: expected an object with films by id")
    return notes


def _note(number: str, note: Any) -> dict[str, Any]:  # noqa: ANN401 (any JSON)
    """Return the attributes for an operator's note about a film."""
    if not isinstance(note, dict) or note.keys() - {"audience", "snippets"}:
        raise FilmsError(f"{number}: expected an object with audience, snippets or both")
    audience, snippets = note.get("audience"), note.get("snippets", [])
    if audience is not None and (type(audience) is not int or not 0 <= audience <= 100):
        raise FilmsError(f"{number}: found audience {audience!r}, expected a number from 0 to 100")
    try:
        read = tuple(Snippet(**snippet) for snippet in snippets)
    except TypeError:
        read = (Snippet(""),)
    if not all(s.text and isinstance(s.text, str) and isinstance(s.source, str) for s in read):
        raise FilmsError(f"{number}: expected each snippet to be an object with text and source")
    return {"audience": audience, "snippets": read}
