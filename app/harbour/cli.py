"""Commands of the operator: `flask listings`, `flask moderators` and `flask messages`.

Other areas define their commands in the module `commands` of their package.
"""

from __future__ import annotations

import itertools
import json
import random
import secrets
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
from flask.cli import AppGroup
from sqlalchemy import insert, select

from . import mail
from .admin import totp
from .admin.login import HASHER
from .contact import send_by_mail
from .extensions import db
from .formats import clean_line, money
from .models import Kind, Listing, Message, Moderator, Status, now
from .neighbourhoods.commands import acs
from .quiz.commands import quiz
from .weather.commands import weather

SAMPLES = Path(__file__).with_name("samples.json")
MIN_PASSWORD = 12  # characters

listings = AppGroup("listings", help="Manage the listings.")


@listings.command("load-samples")
def load_samples() -> None:
    """Load sample listings into an empty database.

    Does nothing if the database contains a listing.
    """
    if db.session.scalar(select(Listing.id).limit(1)) is not None:
        click.echo("The database contains listings: nothing loaded.")
        return
    samples = json.loads(SAMPLES.read_text(encoding="utf-8"))
    db.session.add_all(_sample(**sample) for sample in samples)
    db.session.commit()
    click.echo(f"Loaded {len(samples)} sample listings.")


def _sample(kind: str, days_ago: int, pending: bool = False, **fields: str | int) -> Listing:
    """Return a listing submitted `days_ago` days ago and published three hours later."""
    created_at = now() - timedelta(days=days_ago, minutes=len(str(fields["description"])))
    return Listing(
        kind=Kind(kind),
        status=Status.PENDING if pending else Status.PUBLISHED,
        created_at=created_at,
        published_at=None if pending else created_at + timedelta(hours=3),
        **fields,
    )


@listings.command()
def pending() -> None:
    """List the pending listings, oldest first."""
    pending_listings = db.session.scalars(
        select(Listing).where(Listing.status == Status.PENDING).order_by(Listing.created_at, Listing.id)
    ).all()
    if not pending_listings:
        click.echo("Nothing is pending.")
    for listing in pending_listings:
        click.echo(
            f"{listing.id:>6}  {listing.created_at:%Y-%m-%d %H:%M}  {money(listing.price):>12}"
            f"  {listing.kind.label}, {listing.title} ({listing.place})"
            f"  {listing.contact_name} <{listing.contact_email}>"
        )


LISTING_ID = click.argument("listing_id", metavar="ID", type=click.IntRange(1, 2**31 - 1))


@listings.command()
@LISTING_ID
def publish(listing_id: int) -> None:
    """Publish the listing ID."""
    listing = _listing(listing_id)
    if listing.status is Status.PUBLISHED:
        click.echo(f"{listing.reference} is already published: {listing.title}")
        return
    Listing.move(listing_id, listing.status, Status.PUBLISHED)
    click.echo(f"Published {listing.reference}: {listing.title}")


@listings.command()
@LISTING_ID
def withdraw(listing_id: int) -> None:
    """Hide the listing ID from the public without deleting it."""
    listing = _listing(listing_id)
    if listing.status is Status.WITHDRAWN:
        click.echo(f"{listing.reference} is already withdrawn: {listing.title}")
        return
    Listing.move(listing_id, listing.status, Status.WITHDRAWN)
    click.echo(f"Withdrew {listing.reference}: {listing.title}")


def _listing(listing_id: int) -> Listing:
    listing = db.session.get(Listing, listing_id)
    if listing is None:
        raise click.ClickException(f"Listing {listing_id} does not exist.")
    return listing


@listings.command("make-samples")
@click.argument("number", type=click.IntRange(1, 1_000_000))
@click.option("--seed", default=1, show_default=True, help="Equal seeds generate equal listings.")
def make_samples(number: int, seed: int) -> None:
    """Add NUMBER generated listings, for performance tests."""
    rows = _generate(random.Random(seed), number)  # noqa: S311 (not a secret)
    while batch := list(itertools.islice(rows, 1000)):
        db.session.execute(insert(Listing), batch)
    db.session.commit()
    click.echo(f"Added {number} generated listings.")


def _generate(rng: random.Random, number: int) -> Iterator[dict[str, Any]]:
    """Yield listings that combine parts of random samples."""
    samples = json.loads(SAMPLES.read_text(encoding="utf-8"))
    moment = now()
    for _ in range(number):
        home, place, text = (rng.choice(samples) for _ in range(3))
        published_at = moment - timedelta(minutes=rng.randrange(3 * 365 * 24 * 60))
        yield {
            "title": home["title"],
            "kind": Kind(home["kind"]),
            "status": Status.PUBLISHED,
            "price": max(10_000, round(home["price"] * rng.uniform(0.5, 2), -2)),
            "bedrooms": home["bedrooms"],
            "bathrooms": home["bathrooms"],
            "area_m2": max(10, round(home["area_m2"] * rng.uniform(0.7, 1.5))),
            "street": f"{rng.randrange(1, 300)} {place['street'].lstrip('0123456789 ')}"[:120],
            "neighbourhood": place["neighbourhood"],
            "description": text["description"],
            "contact_name": place["contact_name"],
            "contact_email": place["contact_email"],
            "created_at": published_at - timedelta(hours=3),
            "published_at": published_at,
        }


moderators = AppGroup("moderators", help="Manage the accounts for /admin/.")
NAME = click.argument("name")
# Prompt on a terminal, read stdin otherwise. An argument would be visible in the process list.
PASSWORD = click.option(
    "--password",
    prompt=True,
    hide_input=True,
    confirmation_prompt=True,
    help="At least 12 characters. Prompts if omitted.",
)


@moderators.command("add")
@NAME
@PASSWORD
def add_moderator(name: str, password: str) -> None:
    """Create the moderator NAME."""
    name = clean_line(name)
    if not 1 <= len(name) <= 64:
        raise click.ClickException("The name must have 1 to 64 characters.")
    if _moderator(name):
        raise click.ClickException(f"Moderator {name} already exists.")
    db.session.add(Moderator(name=name, password_hash=_hash(password), session_key=secrets.token_hex(16)))
    db.session.commit()
    click.echo(f"{name} can log in at /admin/.")


@moderators.command("password")
@NAME
@PASSWORD
def change_password(name: str, password: str) -> None:
    """Set a new password for NAME and end all sessions."""
    moderator = _require_moderator(name)
    moderator.password_hash = _hash(password)
    moderator.session_key = secrets.token_hex(16)
    db.session.commit()
    click.echo(f"Changed the password of {name}.")


@moderators.command("remove")
@NAME
def remove_moderator(name: str) -> None:
    """Delete the moderator NAME and end all sessions."""
    moderator = _require_moderator(name)
    totp.disable(moderator)
    db.session.delete(moderator)
    db.session.commit()
    click.echo(f"Removed {name}.")


@moderators.command("reset-totp")
@NAME
def reset_totp(name: str) -> None:
    """Delete the app for codes and the recovery codes of NAME, and end all sessions."""
    moderator = _require_moderator(name)
    totp.disable(moderator)
    moderator.session_key = secrets.token_hex(16)
    db.session.commit()
    click.echo(f"{name} can log in without a code.")


@moderators.command("list")
def list_moderators() -> None:
    """List the moderators."""
    for moderator in db.session.scalars(select(Moderator).order_by(Moderator.name)):
        note = "  (with codes)" if moderator.totp_secret else ""
        click.echo(f"{moderator.created_at:%Y-%m-%d}  {moderator.name}{note}")


def _moderator(name: str) -> Moderator | None:
    return db.session.scalar(select(Moderator).where(Moderator.name == name))


def _require_moderator(name: str) -> Moderator:
    moderator = _moderator(name)
    if moderator is None:
        raise click.ClickException(f"Moderator {name} does not exist.")
    return moderator


def _hash(password: str) -> str:
    if len(password) < MIN_PASSWORD:
        raise click.ClickException(f"The password is too short. Use {MIN_PASSWORD} characters or more.")
    return HASHER.hash(password)


messages = AppGroup("messages", help="Manage messages from visitors.")


@messages.command("send")
def send_messages() -> None:
    """Mail the messages that are not mailed yet. Run it by a timer."""
    if not mail.configured():
        raise click.ClickException("SMTP_URL is not set.")
    unsent = db.session.scalars(
        select(Message.id).where(Message.mailed_at.is_(None)).order_by(Message.id)
    ).all()
    sent = sum(send_by_mail(number) for number in unsent)
    click.echo(f"Mailed {sent} of {len(unsent)} messages.")
    if sent < len(unsent):
        raise click.ClickException("The mail server did not accept the others.")


GROUPS = (listings, moderators, messages, acs, quiz, weather)
