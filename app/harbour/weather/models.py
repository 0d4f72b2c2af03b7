"""What the weather keeps."""

from __future__ import annotations

import enum
from datetime import date, datetime
from typing import Any

from sqlalchemy import Date, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ..extensions import db
from ..models import UTF8, now, stored_by_value


class Report(db.Model):
    """The last good answers of the weather service about a town.

    They are kept as they came: whoever reads them takes nothing in them for granted.

    Attributes:
        town: its slug.
        current_json: the answer about now.
        current_at: when it came, UTC; likewise of the forecast.
        asked_at: when the service was last asked, whatever it answered, UTC.
    """

    __tablename__ = "weather_reports"

    town: Mapped[str] = mapped_column(String(60), primary_key=True)
    current_json: Mapped[str | None] = mapped_column(Text)
    current_at: Mapped[datetime | None]
    forecast_json: Mapped[str | None] = mapped_column(Text)
    forecast_at: Mapped[datetime | None]
    asked_at: Mapped[datetime]

    __table_args__: Any = (UTF8,)


class Subscriber(db.Model):
    """Somebody who gets the weather by e-mail, or has asked for it.

    Who unsubscribes is deleted.

    Attributes:
        email: in small letters: nobody tells two mailboxes apart by them.
        town: the slug of the one whose weather it is.
        units: metric or imperial.
        link_key: what links in mail have to know; random.
        asked_at: when the last mail that asks for a confirmation went out, UTC.
        confirmed_at: when it was confirmed, UTC; None before.
    """

    __tablename__ = "weather_subscribers"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(254))
    town: Mapped[str] = mapped_column(String(60))
    units: Mapped[str] = mapped_column(String(16))
    link_key: Mapped[str] = mapped_column(String(32))
    created_at: Mapped[datetime] = mapped_column(default=now)
    asked_at: Mapped[datetime | None]
    confirmed_at: Mapped[datetime | None]

    __table_args__: Any = (
        Index(None, "email", unique=True),
        Index(None, "confirmed_at", "id"),
        UTF8,
    )


class State(str, enum.Enum):
    """How far a digest has come on its way to somebody."""

    FAILED = "failed"  # for certain: it may be tried again
    SENDING = "sending"  # the mail server may have it: it is never tried again
    SENT = "sent"  # the mail server has said that it has it


class Delivery(db.Model):
    """One day's digest to one address.

    Attributes:
        day: in the site's time zone.
        recipient: a keyed hash of the address, so that it can stay when its subscriber goes, and
            who subscribes again gets no second one that day.
        refusals: how often the mail server has refused it for good.
        changed_at: when it came to this state, UTC.
    """

    __tablename__ = "weather_deliveries"

    id: Mapped[int] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(Date)
    recipient: Mapped[str] = mapped_column(String(64))
    state: Mapped[State] = mapped_column(stored_by_value(State))
    refusals: Mapped[int] = mapped_column(default=0)
    changed_at: Mapped[datetime] = mapped_column(default=now)

    __table_args__: Any = (Index(None, "day", "recipient", unique=True), UTF8)
