"""What an operator does with listings: `flask listings --help`."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import click
from flask.cli import AppGroup
from sqlalchemy import select

from .extensions import db
from .formats import money
from .models import Kind, Listing, Status, now

SAMPLES = Path(__file__).with_name("samples.json")

listings = AppGroup("listings", help="Look after the listings.")


@listings.command("load-samples")
def load_samples() -> None:
    """Fill an empty portal with sample listings.

    Does nothing when there is any listing already.
    """
    if db.session.scalar(select(Listing.id).limit(1)) is not None:
        click.echo("There are listings already: nothing loaded.")
        return
    samples = json.loads(SAMPLES.read_text(encoding="utf-8"))
    db.session.add_all(_sample(**sample) for sample in samples)
    db.session.commit()
    click.echo(f"Loaded {len(samples)} sample listings.")


def _sample(kind: str, days_ago: int, pending: bool = False, **fields: str | int) -> Listing:
    """Return a listing that was submitted some days ago, and published soon afterwards."""
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
    """List what waits to be published, the oldest first."""
    waiting = db.session.scalars(
        select(Listing)
        .where(Listing.status == Status.PENDING)
        .order_by(Listing.created_at, Listing.id)
    ).all()
    if not waiting:
        click.echo("Nothing is pending.")
    for listing in waiting:
        click.echo(
            f"{listing.id:>6}  {listing.created_at:%Y-%m-%d %H:%M}  {money(listing.price):>12}"
            f"  {listing.kind.label}, {listing.title} ({listing.place})"
            f"  {listing.contact_name} <{listing.contact_email}>"
        )


@listings.command()
@click.argument("listing_id", metavar="ID", type=click.IntRange(1, 2**31 - 1))
def publish(listing_id: int) -> None:
    """Show the listing ID to the public."""
    listing = db.session.get(Listing, listing_id)
    if listing is None:
        raise click.ClickException(f"There is no listing {listing_id}.")
    if listing.status is Status.PUBLISHED:
        click.echo(f"{listing.reference} is public already: {listing.title}")
        return
    listing.publish()
    db.session.commit()
    click.echo(f"Published {listing.reference}: {listing.title}")
