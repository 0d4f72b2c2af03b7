"""The migrations make exactly the tables that the models describe."""

from __future__ import annotations

import flask_migrate
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from sqlalchemy import inspect

from harbour.extensions import db


def test_models_and_migrations_agree(app: Flask) -> None:
    with app.app_context(), db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, db.metadata) == []


def test_down_and_up_again(app: Flask) -> None:
    with app.app_context():
        flask_migrate.downgrade(revision="base")
        assert not inspect(db.engine).has_table("listings")
        flask_migrate.upgrade()
        indexes = {index["name"] for index in inspect(db.engine).get_indexes("listings")}
    assert indexes == {
        "ix_listings_search",
        "ix_listings_status_price",
        "ix_listings_status_published_at",
        "ix_listings_submission",
    }
