"""Tables of the quiz: films of the days, players and guesses. No personal data is stored."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from ..extensions import db
from ..models import UTF8
from .game import Streak


class Day(db.Model):
    """A day's film, stored at its first request.

    Later changes of the secret key or of the films do not change it.

    Attributes:
        day: date in the site's time zone.
        film: ID of the film.
    """

    __tablename__ = "quiz_days"

    day: Mapped[date] = mapped_column(primary_key=True)
    film: Mapped[str] = mapped_column(String(16))

    __table_args__: Any = (UTF8,)


class Player(db.Model):
    """A browser that has submitted a guess.

    Attributes:
        name: random name in the browser's cookie.
        streak, best, last: see `game.Streak`; `last` is the last day of the streak.
        seen: day of the last guess.
    """

    __tablename__ = "quiz_players"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(32))
    streak: Mapped[int]
    best: Mapped[int]
    last: Mapped[date | None]
    seen: Mapped[date]

    __table_args__: Any = (Index(None, "name", unique=True), Index(None, "seen"), UTF8)

    def get_streak(self) -> Streak:
        """Return the streak."""
        return Streak(self.streak, self.best, self.last)

    def set_streak(self, streak: Streak) -> None:
        """Store a streak."""
        self.streak, self.best, self.last = streak.days, streak.best, streak.last


class Guess(db.Model):
    """A valid guess.

    Attributes:
        player_id: ID of the player.
        day: day of the film.
        number: from 1; unique per player and day, which prevents concurrent guesses with one number.
        film: ID of the guessed film.
    """

    __tablename__ = "quiz_guesses"

    id: Mapped[int] = mapped_column(primary_key=True)
    player_id: Mapped[int] = mapped_column(ForeignKey("quiz_players.id"))
    day: Mapped[date]
    number: Mapped[int]
    film: Mapped[str] = mapped_column(String(16))

    __table_args__: Any = (
        Index(None, "player_id", "day", "number", unique=True),
        Index(None, "day"),
        UTF8,
    )
