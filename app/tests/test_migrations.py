"""The migrations make exactly the tables that the models describe."""

from __future__ import annotations

from contextlib import suppress

import flask_migrate
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from sqlalchemy import event, inspect

from harbour import MIGRATIONS
from harbour.extensions import db

MAKES = ("CREATE TABLE", "CREATE INDEX", "CREATE UNIQUE INDEX", "ALTER TABLE")


class CutOffError(Exception):
    """A run ended in the middle."""


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


def test_a_migration_that_was_cut_off_is_run_again(app: Flask) -> None:
    """Each run gets as far as one more statement: every place to be cut off at is there once."""
    made = []

    def cut_off(*args: object) -> None:
        statement = str(args[2]).strip()
        if statement.startswith(MAKES):
            made.append(" ".join(statement.split()[:5]))
            raise CutOffError

    with app.app_context():
        flask_migrate.downgrade(revision="base")
        event.listen(db.engine, "after_cursor_execute", cut_off)
        try:
            while (before := len(made)) < 100:
                with suppress(CutOffError):
                    flask_migrate.upgrade()
                if len(made) == before:
                    break
        finally:
            event.remove(db.engine, "after_cursor_execute", cut_off)
        with db.engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, db.metadata) == []
            last = ScriptDirectory(str(MIGRATIONS)).get_heads()
            assert context.get_current_heads() == tuple(last)
    assert len(made) > 30, made
    # Nothing is made twice; alembic_version, which is Alembic's own, may be.
    repeated = [what for what in made if made.count(what) > 1 and "alembic_version" not in what]
    assert repeated == []
