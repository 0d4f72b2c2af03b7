"""What the portal keeps."""

from __future__ import annotations

import enum
from datetime import datetime, timezone
from typing import Any

from sqlalchemy import Enum, ForeignKey, Index, String, Text, update
from sqlalchemy.orm import Mapped, mapped_column, relationship

from .extensions import db, row_count


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
    WITHDRAWN = "withdrawn"  # turned down, sold, or taken back: kept, and shown to nobody


def now() -> datetime:
    """Return the time in UTC, without a time zone and in whole seconds: what the tables hold.

    MySQL's DATETIME keeps neither a zone nor, by default, fractions; it would round them, half of
    the time into the future.
    """
    return datetime.now(timezone.utc).replace(tzinfo=None, microsecond=0)


def stored_by_value(choices: type[enum.Enum]) -> Enum:
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


# Whatever the server's default is: a street may have any letter in it.
UTF8 = {"mysql_charset": "utf8mb4", "mariadb_charset": "utf8mb4"}


class Listing(db.Model):
    """A home that is for sale.

    Attributes:
        price: in whole units of the currency.
        area_m2: floor area, or land area for a plot, in square metres.
        contact_email: for whoever looks after the portal; no public page may show it.
        created_at: when it was submitted, UTC without a time zone.
        published_at: when the public could first see it, likewise; None while it is pending.
        submission: what the form was sent with, so that a form that arrives twice is one listing;
            None for what came another way.
        photos: the first is shown wherever there is room for one. A query has to ask for them:
            one by one they would be a query for each listing of a page.
    """

    __tablename__ = "listings"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(120))
    kind: Mapped[Kind] = mapped_column(stored_by_value(Kind))
    status: Mapped[Status] = mapped_column(stored_by_value(Status), default=Status.PENDING)
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
    submission: Mapped[str | None] = mapped_column(String(32))

    photos: Mapped[list[Photo]] = relationship(order_by="Photo.position", lazy="raise_on_sql")

    # Every public query says status = 'published' and sorts by one of the other two. InnoDB adds
    # the primary key to each index, which is what breaks a tie.
    __table_args__: Any = (
        Index(None, "status", "published_at"),
        Index(None, "status", "price"),
        # All that a search looks at and nothing of the descriptions, which make the table ten times
        # as large: a search that no order helps reads this from end to end.
        Index(
            "ix_listings_search",
            *("status", "published_at", "kind", "price", "bedrooms"),
            *("neighbourhood", "street", "title"),
        ),
        Index(None, "submission", unique=True),
        UTF8,
    )

    @property
    def reference(self) -> str:
        """What people quote when they ask about the listing."""
        return f"H-{self.id:04d}"

    @property
    def place(self) -> str:
        """The street and the neighbourhood, on one line."""
        return f"{self.street}, {self.neighbourhood}"

    @classmethod
    def move(cls, listing_id: int, before: Status, after: Status) -> bool:
        """Change a listing's status, if it is still the one that whoever decides has seen.

        Two moderators who decide at once do not undo each other's decision. Commits.

        Returns:
            Whether it was changed.
        """
        values: dict[str, Any] = {"status": after}
        if after is Status.PUBLISHED:
            values["published_at"] = now()
        done = db.session.execute(
            update(cls).where(cls.id == listing_id, cls.status == before).values(**values)
        )
        db.session.commit()
        return bool(row_count(done))


class Photo(db.Model):
    """A photo of a home. What it shows is in two files of the photos' store, see photos.py.

    Attributes:
        position: its place among the listing's photos, from 0.
        name: what its files' names begin with; random, so that nobody guesses what is pending.
        width: of the large file, in pixels.
        height: likewise.
    """

    __tablename__ = "photos"

    id: Mapped[int] = mapped_column(primary_key=True)
    listing_id: Mapped[int] = mapped_column(ForeignKey("listings.id"))
    position: Mapped[int]
    name: Mapped[str] = mapped_column(String(32))
    width: Mapped[int]
    height: Mapped[int]

    __table_args__: Any = (
        Index(None, "listing_id", "position"),
        Index(None, "name", unique=True),
        UTF8,
    )


class Message(db.Model):
    """What somebody wrote to whoever looks after the portal.

    Attributes:
        listing_id: the listing that it is about, or None.
        mailed_at: when it was handed to the mail server, UTC; None while it was not.
        done_at: when a moderator was done with it, UTC.
        submission: as a listing's.
    """

    __tablename__ = "messages"

    id: Mapped[int] = mapped_column(primary_key=True)
    listing_id: Mapped[int | None] = mapped_column(ForeignKey("listings.id"))
    name: Mapped[str] = mapped_column(String(80))
    email: Mapped[str] = mapped_column(String(254))
    text: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=now)
    mailed_at: Mapped[datetime | None]
    done_at: Mapped[datetime | None]
    submission: Mapped[str | None] = mapped_column(String(32))

    __table_args__: Any = (
        Index(None, "done_at", "created_at"),
        Index(None, "listing_id"),
        Index(None, "mailed_at"),
        Index(None, "submission", unique=True),
        UTF8,
    )


class Moderator(db.Model):
    """Somebody who decides what is shown.

    Attributes:
        password_hash: by argon2id, with its parameters.
        session_key: what sessions of this account have to know; a new one ends them all.
        failures: wrong passwords since the last right one.
        failed_at: when the last of them was, UTC.
    """

    __tablename__ = "moderators"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    password_hash: Mapped[str] = mapped_column(String(255))
    session_key: Mapped[str] = mapped_column(String(32))
    failures: Mapped[int] = mapped_column(default=0)
    failed_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=now)

    __table_args__: Any = (Index(None, "name", unique=True), UTF8)
