"""The towns of the weather pages."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from flask import current_app

from ..config import ConfigurationError
from ..formats import clean_line

MAX_TOWNS = 12
MAX_LENGTH = 60  # characters of a name, and of a slug


@dataclass(frozen=True)
class Town:
    """A town.

    Attributes:
        name: name on pages.
        slug: identifier in URLs and tables.
        query: query parameters for OpenWeatherMap.
    """

    name: str
    slug: str
    query: tuple[tuple[str, str], ...]


def parse(setting: str) -> tuple[Town, ...]:
    """Parse a setting such as "Cobh=Cobh,IE; Petty Harbour=47.46,-52.71; Nain".

    After the equals sign is latitude and longitude in degrees, or a name in OpenWeatherMap. Without
    an equals sign, the name of the town is used.

    Raises:
        ConfigurationError: no town, too many towns, or the same town twice.
    """
    towns = tuple(_town(entry) for entry in setting.split(";") if entry.strip())
    if not 1 <= len(towns) <= MAX_TOWNS or len({town.slug for town in towns}) < len(towns):
        raise ConfigurationError(
            f"HARBOUR_WEATHER_TOWNS: found {len(towns)} towns, expected 1 to {MAX_TOWNS} different ones"
        )
    return towns


def _town(entry: str) -> Town:
    name, _, query = (clean_line(part) for part in entry.partition("="))
    slug = re.sub(r"[^a-z0-9]+", "-", _plain(name).lower()).strip("-")[:MAX_LENGTH]
    if not slug or len(name) > MAX_LENGTH:
        raise ConfigurationError(
            f"HARBOUR_WEATHER_TOWNS: found {entry.strip()!r}, expected a town such as Cobh=51.85,-8.30"
        )
    number = r"(-?\d{1,3}(?:\.\d+)?)"
    if not (match := re.fullmatch(rf"{number}\s*,\s*{number}", query, re.ASCII)):
        return Town(name, slug, (("q", query or name),))
    latitude, longitude = match.groups()
    if abs(float(latitude)) > 90 or abs(float(longitude)) > 180:
        raise ConfigurationError(f"HARBOUR_WEATHER_TOWNS: {name} has an invalid latitude or longitude")
    return Town(name, slug, (("lat", latitude), ("lon", longitude)))


def _plain(name: str) -> str:
    """Return a name without accents and other non-ASCII characters."""
    return unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()


def all_towns() -> tuple[Town, ...]:
    """Return all towns. The first one is the default."""
    towns: tuple[Town, ...] = current_app.extensions["weather"]
    return towns


def find(slug: str | None) -> Town:
    """Return the town with this slug, or the default."""
    return next((town for town in all_towns() if town.slug == slug), all_towns()[0])
