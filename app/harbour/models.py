"""What the portal keeps."""

from __future__ import annotations

import enum
from datetime import datetime, timezone
from typing import Any

from sqlalchemy import Enum, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from .extensions import db


class Kind(str, enum.Enum):
    """What sort of home a listing is. The value is what the database and a query string hold."""

    HOUSE = "house"
    COTTAGE = "cottage"
    FLAT = "flat"
    LOFT = "loft"
    HOUSEBOAT = "houseboat"
    PLOT = "plot"

    @property
    def label(self) -> str:
        """The kind's name on a page."""
        return _LABELS[self][0]

    @property
    def plural(self) -> str:
        """The name of several of this kind."""
        return _LABELS[self][1]


_LABELS = {
    Kind.HOUSE: ("House", "Houses"),
    Kind.COTTAGE: ("Cottage", "Cottages"),
    Kind.FLAT: ("Flat", "Flats"),
    Kind.LOFT: ("Sail loft", "Sail lofts"),
    Kind.HOUSEBOAT: ("Houseboat", "Houseboats"),
    Kind.PLOT: ("Plot of land", "Plots of land"),
}


class Status(str, enum.Enum):
    """Where a listing is on its way to the public."""

    PENDING = "pending"
    PUBLISHED = "published"


def now() -> datetime:
    """Return the time in UTC, without a time zone and in whole seconds: what the tables hold.

    MySQL's DATETIME keeps neither a zone nor, by default, fractions; it would round them, half of
    the time into the future.
    """
    return datetime.now(timezone.utc).replace(tzinfo=None, microsecond=0)


def _stored_by_value(choices: type[enum.Enum]) -> Enum:
    """Return a VARCHAR column type: a new choice then needs no migration.

    The application is what checks the choices: an unknown one raises LookupError when it is
    written.
    """
    return Enum(
        choices,
        native_enum=False,
        create_constraint=False,
        validate_strings=True,
        length=16,
        values_callable=lambda members: [member.value for member in members],
    )


class Listing(db.Model):
    """A home that is for sale.

    Attributes:
        price: in whole units of the currency.
        area_m2: floor area, or land area for a plot, in square metres.
        contact_email: for whoever looks after the portal; no public page may show it.
        created_at: when it was submitted, UTC without a time zone.
        published_at: when the public could first see it, likewise; None while it is pending.
    """

    __tablename__ = "listings"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(120))
    kind: Mapped[Kind] = mapped_column(_stored_by_value(Kind))
    status: Mapped[Status] = mapped_column(_stored_by_value(Status), default=Status.PENDING)
    price: Mapped[int]
    bedrooms: Mapped[int]
    bathrooms: Mapped[int]
    area_m2: Mapped[int]
    street: Mapped[str] = mapped_column(String(120))
    neighbourhood: Mapped[str] = mapped_column(String(80))
    description: Mapped[str] = mapped_column(Text)
    contact_name: Mapped[str] = mapped_column(String(80))
    contact_email: Mapped[str] = mapped_column(String(254))
    created_at: Mapped[datetime] = mapped_column(default=now)
    published_at: Mapped[datetime | None]

    # Every public query says status = 'published' and sorts by one of the other two. InnoDB adds
    # the primary key to each index, which is what breaks a tie.
    __table_args__: Any = (
        Index(None, "status", "published_at"),
        Index(None, "status", "price"),
        # Whatever the server's default is: a street may have any letter in it.
        {"mysql_charset": "utf8mb4", "mariadb_charset": "utf8mb4"},
    )

    @property
    def reference(self) -> str:
        """What people quote when they ask about the listing."""
        return f"H-{self.id:04d}"

    @property
    def place(self) -> str:
        """The street and the neighbourhood, on one line."""
        return f"{self.street}, {self.neighbourhood}"

    def publish(self) -> None:
        """Show the listing to the public from now on."""
        self.status = Status.PUBLISHED
        self.published_at = now()
