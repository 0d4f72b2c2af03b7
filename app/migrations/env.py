"""How Alembic reaches the application's database. `flask db …` runs it."""

from __future__ import annotations

from logging.config import fileConfig

from alembic import context
from flask import current_app

# The application's own loggers stay as they are.
fileConfig(context.config.config_file_name, disable_existing_loggers=False)

migrate = current_app.extensions["migrate"]


def write_sql() -> None:
    """Write the statements instead of running them (`flask db upgrade --sql`)."""
    context.configure(
        url=migrate.db.engine.url, target_metadata=migrate.db.metadata, literal_binds=True
    )
    with context.begin_transaction():
        context.run_migrations()


def run() -> None:
    """Run the migrations on the application's database."""
    with migrate.db.engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=migrate.db.metadata,
            **migrate.configure_args,
        )
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    write_sql()
else:
    run()
