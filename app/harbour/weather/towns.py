"""The towns whose weather is shown."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from flask import current_app

from ..config import ConfigurationError
from ..formats import clean_line

MOST = 12
LONGEST = 60  # characters of a name, and of a slug


@dataclass(frozen=True)
class Town:
    """A town.

    Attributes:
        name: as it is shown.
        slug: as it is in addresses and in the tables.
        query: what tells OpenWeatherMap which place is meant.
    """

    name: str
    slug: str
    query: tuple[tuple[str, str], ...]


def parse(setting: str) -> tuple[Town, ...]:
    """Return the towns of a setting such as "Cobh=Cobh,IE; Petty Harbour=47.46,-52.71; Nain".

    After the equals sign is what to ask for: a latitude and a longitude in degrees, or a name as
    OpenWeatherMap knows it. Without one, it is asked for by its name.

    Raises:
        ConfigurationError: there is none, there are too many, or two are one.
    """
    towns = tuple(_town(entry) for entry in setting.split(";") if entry.strip())
    if not 1 <= len(towns) <= MOST or len({town.slug for town in towns}) < len(towns):
        raise ConfigurationError(
            f"HARBOUR_WEATHER_TOWNS has {len(towns)} towns; it takes 1 to {MOST}, no two alike"
        )
    return towns


def _town(entry: str) -> Town:
    name, _, asked = (clean_line(part) for part in entry.partition("="))
    slug = re.sub(r"[^a-z0-9]+", "-", _plain(name).lower()).strip("-")[:LONGEST]
    if not slug or len(name) > LONGEST:
        raise ConfigurationError(
            f"HARBOUR_WEATHER_TOWNS has a town {entry.strip()!r}; one is like Cobh=51.85,-8.30"
        )
    number = r"(-?\d{1,3}(?:\.\d+)?)"
    if not (match := re.fullmatch(rf"{number}\s*,\s*{number}", asked, re.ASCII)):
        return Town(name, slug, (("q", asked or name),))
    latitude, longitude = match.groups()
    if abs(float(latitude)) > 90 or abs(float(longitude)) > 180:
        raise ConfigurationError(f"HARBOUR_WEATHER_TOWNS has {name} where no place can be")
    return Town(name, slug, (("lat", latitude), ("lon", longitude)))


def _plain(name: str) -> str:
    """Return a name without accents."""
    return unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()


def every() -> tuple[Town, ...]:
    """Return all towns, the one that is meant where none is named first."""
    towns: tuple[Town, ...] = current_app.extensions["weather"]
    return towns


def find(slug: str | None) -> Town:
    """Return the town of this slug, or the first."""
    return next((town for town in every() if town.slug == slug), every()[0])
