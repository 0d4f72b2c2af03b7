"""Commands for listings."""

from __future__ import annotations

import json

from conftest import MakeListing
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from sqlalchemy import func, select

from harbour.cli import SAMPLES
from harbour.extensions import db
from harbour.models import Kind, Listing, Status, now


def count(app: Flask) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count(Listing.id)))


def test_load_samples_is_idempotent(app: Flask, client: FlaskClient, runner: FlaskCliRunner) -> None:
    result = runner.invoke(args=["listings", "load-samples"])
    assert result.exit_code == 0
    assert "Loaded 40 sample listings" in result.output
    assert count(app) == 40
    assert client.get("/listings/?page=4").status_code == 200

    result = runner.invoke(args=["listings", "load-samples"])
    assert result.exit_code == 0
    assert "nothing loaded" in result.output
    assert count(app) == 40


def test_load_samples_skips_database_with_listings(
    app: Flask, runner: FlaskCliRunner, make_listing: MakeListing
) -> None:
    make_listing(status=Status.PENDING)
    runner.invoke(args=["listings", "load-samples"])
    assert count(app) == 1


def test_samples_are_valid_listings(app: Flask, runner: FlaskCliRunner) -> None:
    runner.invoke(args=["listings", "load-samples"])
    with app.app_context():
        listings = list(db.session.scalars(select(Listing)))
    assert {listing.kind for listing in listings} == set(Kind)
    assert len({listing.title for listing in listings}) == len(listings)
    assert {listing.status for listing in listings} == {Status.PENDING, Status.PUBLISHED}
    for listing in listings:
        assert listing.created_at <= now()
        assert 10_000 < listing.price < 1_000_000
        assert listing.contact_email.isascii()
        assert listing.contact_email.endswith("@example.com")
        if listing.status is Status.PUBLISHED:
            assert listing.created_at < listing.published_at <= now()
    assert len(json.loads(SAMPLES.read_text(encoding="utf-8"))) == len(listings)


def test_pending_lists_oldest_first(runner: FlaskCliRunner, make_listing: MakeListing) -> None:
    assert "Nothing is pending" in runner.invoke(args=["listings", "pending"]).output
    first = make_listing(status=Status.PENDING, title="First")
    second = make_listing(status=Status.PENDING, title="Second")
    make_listing(title="Public")
    lines = runner.invoke(args=["listings", "pending"]).output.splitlines()
    assert [line.split()[0] for line in lines] == [str(first.id), str(second.id)]
    assert "$300,000" in lines[0]
    assert first.contact_email in lines[0]


def test_publish_makes_listing_public(
    client: FlaskClient, runner: FlaskCliRunner, make_listing: MakeListing
) -> None:
    listing = make_listing(status=Status.PENDING)
    result = runner.invoke(args=["listings", "publish", str(listing.id)])
    assert result.exit_code == 0
    assert f"Published {listing.reference}" in result.output
    assert client.get(f"/listings/{listing.id}").status_code == 200

    second = runner.invoke(args=["listings", "publish", str(listing.id)])
    assert second.exit_code == 0
    assert "already published" in second.output


def test_publish_unknown_listing_fails(runner: FlaskCliRunner) -> None:
    result = runner.invoke(args=["listings", "publish", "123456"])
    assert result.exit_code == 1
    assert "Listing 123456 does not exist" in result.output
    assert runner.invoke(args=["listings", "publish", "99999999999"]).exit_code == 2
