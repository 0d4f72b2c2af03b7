"""What the quiz keeps: each day's film, and who guessed what. Nothing says who a player is."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from ..extensions import db
from ..models import UTF8
from .game import Streak


class Day(db.Model):
    """A day's film, written when it is first asked for.

    It stays the day's film when the secret key or the films change.

    Attributes:
        day: in the site's time zone.
        film: the film's id.
    """

    __tablename__ = "quiz_days"

    day: Mapped[date] = mapped_column(primary_key=True)
    film: Mapped[str] = mapped_column(String(16))

    __table_args__: Any = (UTF8,)


class Player(db.Model):
    """A browser that has guessed.

    Attributes:
        name: what its cookie says, at random.
        streak, best, last: see `game.Streak`; `last` is the last day of the streak.
        seen: the day of the last guess.
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
        """Keep a streak."""
        self.streak, self.best, self.last = streak.days, streak.best, streak.last


class Guess(db.Model):
    """A guess that counts.

    Attributes:
        player_id: whose it is.
        day: the day whose film it is about.
        number: from 1. There is one of each number, so two guesses at once are not one try.
        film: the id of the film that was meant.
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
