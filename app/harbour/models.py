"""Tables of listings, photos, messages and moderators."""

from __future__ import annotations

import enum
from datetime import datetime, timezone
from typing import Any

from sqlalchemy import Enum, ForeignKey, Index, String, Text, update
from sqlalchemy.orm import Mapped, mapped_column, relationship

from .extensions import db, row_count


class Kind(str, enum.Enum):
    """The kind of home. The value is used in the database and in query strings."""

    HOUSE = "house"
    COTTAGE = "cottage"
    FLAT = "flat"
    LOFT = "loft"
    HOUSEBOAT = "houseboat"
    PLOT = "plot"

    @property
    def label(self) -> str:
        """The singular on pages."""
        return _LABELS[self][0]

    @property
    def plural(self) -> str:
        """The plural on pages."""
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
    """The status of a listing in moderation."""

    PENDING = "pending"
    PUBLISHED = "published"
    WITHDRAWN = "withdrawn"  # rejected, sold or taken down: stored, not public


def now() -> datetime:
    """Return the time in UTC as the tables store it: without time zone, in whole seconds.

    MySQL's DATETIME stores no time zone and, by default, rounds fractions, possibly into the
    future.
    """
    return datetime.now(timezone.utc).replace(tzinfo=None, microsecond=0)


def stored_by_value(choices: type[enum.Enum]) -> Enum:
    """Return a VARCHAR type for an enum, so that new members need no migration.

    Only the application validates the values: writing an unknown one raises LookupError.
    """
    return Enum(
        choices,
        native_enum=False,
        create_constraint=False,
        validate_strings=True,
        length=16,
        values_callable=lambda members: [member.value for member in members],
    )


# Explicit, because the server's default may not support every letter.
UTF8 = {"mysql_charset": "utf8mb4", "mariadb_charset": "utf8mb4"}


class Listing(db.Model):
    """A home for sale.

    Attributes:
        price: in whole units of the currency.
        area_m2: floor area, or land area for a plot, in square metres.
        contact_email: for moderators only, never on public pages.
        created_at: time of the submission, in UTC without time zone.
        published_at: time of the first publication, as above; None while pending.
        submission: random ID of the submitted form, so that a form sent twice creates one listing;
            None for other sources.
        photos: the first one is the preview. Queries must load them explicitly, which prevents one
            query per listing.
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

    # Public queries filter by status = 'published' and sort by one of the other two columns. InnoDB
    # appends the primary key to each index, which is the tie-breaker.
    __table_args__: Any = (
        Index(None, "status", "published_at"),
        Index(None, "status", "price"),
        # Covers a search without the descriptions, which make the table ten times as large: a search
        # with wildcards scans this index completely.
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
        """The reference number that visitors quote."""
        return f"H-{self.id:04d}"

    @property
    def place(self) -> str:
        """Street and neighbourhood in one line."""
        return f"{self.street}, {self.neighbourhood}"

    @classmethod
    def move(cls, listing_id: int, before: Status, after: Status) -> bool:
        """Change a listing's status if it is still `before`, and commit.

        Prevents concurrent moderators from overwriting each other's decisions.

        Returns:
            Whether the status was changed.
        """
        values: dict[str, Any] = {"status": after}
        if after is Status.PUBLISHED:
            values["published_at"] = now()
        result = db.session.execute(
            update(cls).where(cls.id == listing_id, cls.status == before).values(**values)
        )
        db.session.commit()
        return bool(row_count(result))


class Photo(db.Model):
    """A photo of a home. The store has two files for it, see photos.py.

    Attributes:
        position: order within the listing, from 0.
        name: random prefix of the file names, so that photos of pending listings cannot be guessed.
        width: width of the large file in pixels.
        height: height of the large file in pixels.
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
    """A message from a visitor to the moderators.

    Attributes:
        listing_id: the listing concerned, or None.
        mailed_at: time when the mail was sent, in UTC; None if it was not sent.
        done_at: time when a moderator marked it as done, in UTC.
        submission: as in Listing.
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
    """An account that can publish listings.

    Attributes:
        password_hash: argon2id hash with its parameters.
        session_key: part of each session of this account; changing it ends all of them.
        failures: unused. The previous release writes it during a deployment.
        failed_at: as above.
        totp_secret: encrypted secret of an app for codes, see admin/totp.py; None without an app.
        totp_step: time step of the last code.
    """

    __tablename__ = "moderators"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    password_hash: Mapped[str] = mapped_column(String(255))
    session_key: Mapped[str] = mapped_column(String(32))
    failures: Mapped[int] = mapped_column(default=0)
    failed_at: Mapped[datetime | None]
    totp_secret: Mapped[str | None] = mapped_column(String(255))
    totp_step: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(default=now)

    __table_args__: Any = (Index(None, "name", unique=True), UTF8)


class RecoveryCode(db.Model):
    """A code that replaces the code of an app once.

    Attributes:
        code_hash: SHA-256 in hexadecimal digits.
    """

    __tablename__ = "recovery_codes"

    id: Mapped[int] = mapped_column(primary_key=True)
    moderator_id: Mapped[int] = mapped_column(ForeignKey("moderators.id", ondelete="CASCADE"))
    code_hash: Mapped[str] = mapped_column(String(64))

    __table_args__: Any = (Index(None, "moderator_id", "code_hash"), UTF8)


class LoginAttempts(db.Model):
    """A counter of failed logins, see admin/attempts.py.

    Attributes:
        key: keyed hash of what is counted.
        failures: number of failures.
        next_at: time from which the next attempt is allowed, in UTC.
    """

    __tablename__ = "login_attempts"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    failures: Mapped[int]
    next_at: Mapped[datetime]

    __table_args__: Any = (Index(None, "next_at"), UTF8)
