"""Generate the quiz's films from the Wikidata extract in bokeh-sampledata.

    pip download --no-deps "bokeh-sampledata>=2026.1" && unzip bokeh_sampledata-*.whl
    python make_films.py bokeh_sampledata/_data/movies.db

harbour/quiz/FILMS.md describes the selection.
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
MAX_CAST = 6
# English only, because visitors rarely recognise other films by their English titles. Films under an
# hour are not features. Films without genres or a score have no first clue.
SELECTION = """
    SELECT imdbID, Title, Year, Genre, Meter, Reviews, Fresh, tomatoes.Rating AS Average,
           Metacritic, Runtime, Country, Director, "Cast", BoxOffice, Oscars,
           MIN(ID) -- the first of several rows with one IMDb ID
    FROM omdb JOIN tomatoes USING (ID)
    WHERE Language = 'English' AND Year >= 1970 AND Runtime >= 60 AND Reviews >= 40
      AND Director <> '' AND "Cast" <> '' AND Genre <> '' AND Meter IS NOT NULL
    GROUP BY imdbID
    ORDER BY Year, Title, imdbID
"""


def films(database: sqlite3.Connection) -> Iterator[dict[str, Any]]:
    """Yield the selected films. Missing values are None."""
    database.row_factory = sqlite3.Row
    # The source sorts the cast by name. Sort it by number of films, because the clues start with the
    # actors that are hardest to recognise.
    appearances = Counter(
        name for (cast,) in database.execute('SELECT "Cast" FROM omdb') for name in set(_names(cast))
    )
    for row in database.execute(SELECTION):
        cast = sorted(set(_names(row["Cast"])), key=lambda name: (appearances[name], name))
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
            "cast": cast[-MAX_CAST:],
            "gross": round(row["BoxOffice"]) if row["BoxOffice"] else None,
            "oscars": row["Oscars"] or None,
        }


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def main(source: str) -> None:
    """Write the names of the columns, then one line per film."""
    with closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as database:
        selected = list(films(database))
    lines = [
        json.dumps(list(values), ensure_ascii=False, separators=(",", ":"))
        for values in (selected[0], *(film.values() for film in selected))
    ]
    FILMS.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(selected)} films, {FILMS.stat().st_size:,} bytes: {FILMS}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(sys.argv[1])
