"""The table of listings and its types."""

from __future__ import annotations

import pytest
from conftest import MakeListing
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import StatementError

from harbour.extensions import db
from harbour.models import Kind, Listing, Status, now


def test_now_has_no_zone_and_no_fraction() -> None:
    assert now().tzinfo is None
    assert now().microsecond == 0


def test_kind_is_stored_by_value(app: Flask, make_listing: MakeListing) -> None:
    make_listing(kind=Kind.HOUSEBOAT, status=Status.PENDING)
    with app.app_context():
        stored = db.session.execute(text("SELECT kind, status FROM listings")).one()
    assert tuple(stored) == ("houseboat", "pending")


def test_unknown_kind_is_rejected(make_listing: MakeListing) -> None:
    with pytest.raises(StatementError, match="castle"):
        make_listing(kind="castle")


def test_title_accepts_unicode(app: Flask, make_listing: MakeListing) -> None:
    title = "Fáilte, 欢迎, 🌊"
    listing = make_listing(title=title)
    with app.app_context():
        assert db.session.get(Listing, listing.id).title == title


def test_move_publishes_listing_once(app: Flask, make_listing: MakeListing) -> None:
    listing = make_listing(status=Status.PENDING)
    assert listing.published_at is None
    with app.app_context():
        stored = db.session.get(Listing, listing.id)
        assert Listing.move(listing.id, Status.PENDING, Status.PUBLISHED)
        assert not Listing.move(listing.id, Status.PENDING, Status.WITHDRAWN)
        assert stored.status is Status.PUBLISHED
        assert abs((now() - stored.published_at).total_seconds()) < 10


def test_every_kind_has_singular_and_plural() -> None:
    assert all(kind.label and kind.plural for kind in Kind)
