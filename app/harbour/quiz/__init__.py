"""The daily film: one a day for everybody, which six guesses and ever more clues lead to.

`films` knows the films and what somebody means, `game` has the rules, `models` who has guessed
what, `pages` shows it, `commands` is for timers.
"""

from __future__ import annotations

from flask import Flask

from ..config import ConfigurationError
from . import films
from .pages import bp

__all__ = ["bp", "init_app"]


def init_app(app: Flask) -> None:
    """Read the films and an operator's notes about them.

    Raises:
        ConfigurationError: the notes are not in order.
    """
    try:
        films.load(app.config["HARBOUR_FILM_NOTES"])
    except films.FilmsError as error:
        raise ConfigurationError(f"HARBOUR_FILM_NOTES: {error}") from None
