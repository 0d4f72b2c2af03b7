"""The daily film: visitors guess one film a day, with six tries and a clue after each.

`films`: the films and the matching of titles. `game`: the rules. `models`: the tables. `pages`: the
pages and their JSON. `commands`: commands for timers.
"""

from __future__ import annotations

from flask import Flask

from ..config import ConfigurationError
from . import films
from .pages import bp

__all__ = ["bp", "init_app"]


def init_app(app: Flask) -> None:
    """Load the films and the operator's notes.

    Raises:
        ConfigurationError: the notes are invalid.
    """
    try:
        films.load(app.config["HARBOUR_FILM_NOTES"])
    except films.FilmsError as error:
        raise ConfigurationError(f"HARBOUR_FILM_NOTES: {error}") from None
