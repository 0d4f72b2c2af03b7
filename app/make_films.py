"""Makes the quiz's films anew from the Wikidata extract in bokeh-sampledata.

    pip download --no-deps "bokeh-sampledata>=2026.1" && unzip bokeh_sampledata-*.whl
    python make_films.py bokeh_sampledata/_data/movies.db

What is chosen and why is in harbour/quiz/FILMS.md.
"""

from __future__ import annotations

import json
import re
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

FILMS = Path(__file__).parent / "harbour" / "quiz" / "films.jsonl"
MOST_CAST = 6
# One language: what is in several is often not known by its English title. Shorter ones are no
# features; without genres or a score there is no first clue.
CHOSEN = """
    SELECT imdbID, Title, Year, Genre, Meter, Reviews, Fresh, tomatoes.Rating AS Average,
           Metacritic, Runtime, Country, Director, "Cast", BoxOffice, Oscars,
           MIN(ID) -- of two with one IMDb id, the first
    FROM omdb JOIN tomatoes USING (ID)
    WHERE Language = 'English' AND Year >= 1970 AND Runtime >= 60 AND Reviews >= 40
      AND Director <> '' AND "Cast" <> '' AND Genre <> '' AND Meter IS NOT NULL
    GROUP BY imdbID
    ORDER BY Year, Title, imdbID
"""


def films(database: sqlite3.Connection) -> Iterator[dict[str, Any]]:
    """Yield each film that is chosen. What is not known of it is None."""
    database.row_factory = sqlite3.Row
    # The cast is in alphabetical order. Who is in more of all the films is better known; clues
    # begin with the others.
    known = Counter(
        name for (cast,) in database.execute('SELECT "Cast" FROM omdb') for name in set(_names(cast))
    )
    for row in database.execute(CHOSEN):
        cast = sorted(set(_names(row["Cast"])), key=lambda name: (known[name], name))
        yield {
            "id": row["imdbID"],
            "title": re.sub(r" \(\d{4} film\)$", "", " ".join(row["Title"].split())),
            "year": row["Year"],
            "genres": _names(row["Genre"]),
            "score": row["Meter"],
            "reviews": row["Reviews"],
            "fresh": row["Fresh"],
            "average": row["Average"],
            "metacritic": row["Metacritic"],
            "runtime": round(row["Runtime"]),
            "countries": _names(row["Country"]),
            "directors": _names(row["Director"]),
            "cast": cast[-MOST_CAST:],
            "gross": round(row["BoxOffice"]) if row["BoxOffice"] else None,
            "oscars": row["Oscars"] or None,
        }


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def main(source: str) -> None:
    """Write the file: a line with the names of the columns, then a film a line."""
    with closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as database:
        found = list(films(database))
    lines = [
        json.dumps(list(values), ensure_ascii=False, separators=(",", ":"))
        for values in (found[0], *(film.values() for film in found))
    ]
    FILMS.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(found)} films, {FILMS.stat().st_size:,} bytes: {FILMS}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(sys.argv[1])
