"""Tables of the weather."""

from __future__ import annotations

import enum
from datetime import date, datetime
from typing import Any

from sqlalchemy import Date, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ..extensions import db
from ..models import UTF8, now, stored_by_value


class Report(db.Model):
    """The last valid responses of the weather service for a town.

    They are stored unchanged, so readers must validate them.

    Attributes:
        town: slug of the town.
        current_json: response with the current weather.
        current_at: time of that response, in UTC; `forecast_json` and `forecast_at` likewise.
        requested_at: time of the last request, in UTC, successful or not.
    """

    __tablename__ = "weather_reports"

    town: Mapped[str] = mapped_column(String(60), primary_key=True)
    current_json: Mapped[str | None] = mapped_column(Text)
    current_at: Mapped[datetime | None]
    forecast_json: Mapped[str | None] = mapped_column(Text)
    forecast_at: Mapped[datetime | None]
    # The column keeps its name, because migrations may only add columns.
    requested_at: Mapped[datetime] = mapped_column("asked_at")

    __table_args__: Any = (UTF8,)


class Subscriber(db.Model):
    """A subscriber of the weather by e-mail, confirmed or not.

    Deleted after unsubscribing.

    Attributes:
        email: in lower case, because mailboxes do not differ by case in practice.
        town: slug of the town.
        units: metric or imperial.
        link_key: random part of the links in mails.
        requested_at: time of the last mail with a confirmation link, in UTC.
        confirmed_at: time of the confirmation, in UTC; None before.
    """

    __tablename__ = "weather_subscribers"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(254))
    town: Mapped[str] = mapped_column(String(60))
    units: Mapped[str] = mapped_column(String(16))
    link_key: Mapped[str] = mapped_column(String(32))
    created_at: Mapped[datetime] = mapped_column(default=now)
    requested_at: Mapped[datetime | None] = mapped_column("asked_at")
    confirmed_at: Mapped[datetime | None]

    __table_args__: Any = (
        Index(None, "email", unique=True),
        Index(None, "confirmed_at", "id"),
        UTF8,
    )


class State(str, enum.Enum):
    """The state of a delivery."""

    FAILED = "failed"  # not accepted, may be retried
    SENDING = "sending"  # possibly accepted, never retried
    SENT = "sent"  # accepted by the mail server


class Delivery(db.Model):
    """A day's digest for one address.

    Attributes:
        day: date in the site's time zone.
        recipient: keyed hash of the address, which remains after unsubscribing, so that a new
            subscription on the same day gets no second digest.
        refusals: number of permanent errors.
        changed_at: time of the last change of the state, in UTC.
    """

    __tablename__ = "weather_deliveries"

    id: Mapped[int] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(Date)
    recipient: Mapped[str] = mapped_column(String(64))
    state: Mapped[State] = mapped_column(stored_by_value(State))
    refusals: Mapped[int] = mapped_column(default=0)
    changed_at: Mapped[datetime] = mapped_column(default=now)

    __table_args__: Any = (Index(None, "day", "recipient", unique=True), UTF8)
