"""Migrations: they create the tables of the models, also after an interruption."""

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

DDL = ("CREATE TABLE", "CREATE INDEX", "CREATE UNIQUE INDEX", "ALTER TABLE")


class InterruptedRunError(Exception):
    """Simulates an interrupted run."""


def test_migrations_match_models(app: Flask) -> None:
    with app.app_context(), db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, db.metadata) == []


def test_downgrade_and_upgrade_restore_indexes(app: Flask) -> None:
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


def test_interrupted_migration_is_completed_by_next_run(app: Flask) -> None:
    """Interrupts each run after one statement, until all have been executed."""
    statements = []

    def interrupt(*args: object) -> None:
        statement = str(args[2]).strip()
        if statement.startswith(DDL):
            statements.append(" ".join(statement.split()[:6]))
            raise InterruptedRunError

    with app.app_context():
        flask_migrate.downgrade(revision="base")
        event.listen(db.engine, "after_cursor_execute", interrupt)
        try:
            while (before := len(statements)) < 100:
                with suppress(InterruptedRunError):
                    flask_migrate.upgrade()
                if len(statements) == before:
                    break
        finally:
            event.remove(db.engine, "after_cursor_execute", interrupt)
        with db.engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, db.metadata) == []
            last = ScriptDirectory(str(MIGRATIONS)).get_heads()
            assert context.get_current_heads() == tuple(last)
    assert len(statements) > 30, statements
    # Each statement is executed once, except those for alembic_version.
    repeated = [one for one in statements if statements.count(one) > 1 and "alembic_version" not in one]
    assert repeated == []
