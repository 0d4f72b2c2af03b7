"""Alembic environment for `flask db …`.

MySQL, MariaDB and SQLite commit after each DDL statement, so an interrupted migration is applied
partly. This environment creates only tables, indexes and columns that are missing, so that an
interrupted migration can be run again.
"""

from __future__ import annotations

from logging.config import fileConfig
from typing import Any

from alembic import context
from alembic.ddl.impl import DefaultImpl
from alembic.ddl.mysql import MariaDBImpl, MySQLImpl
from alembic.ddl.sqlite import SQLiteImpl
from flask import current_app
from sqlalchemy import Column, Index, Table, inspect

# Keep the application's loggers enabled.
fileConfig(context.config.config_file_name, disable_existing_loggers=False)

migrate = current_app.extensions["migrate"]


class ResumableImpl(DefaultImpl):
    """Skip tables, indexes and columns that an interrupted run has created."""

    def create_table(self, table: Table, **kw: Any) -> None:  # noqa: ANN401 (Alembic's arguments)
        """Create a table."""
        if self.as_sql or not inspect(self.connection).has_table(table.name):
            super().create_table(table, **kw)

    def create_index(self, index: Index, **kw: Any) -> None:  # noqa: ANN401 (Alembic's arguments)
        """Create an index."""
        if self.as_sql or index.name not in self._names("indexes", index.table.name):  # type: ignore[union-attr]
            super().create_index(index, **kw)

    def add_column(self, table_name: str, column: Column[Any], **kw: Any) -> None:  # noqa: ANN401 (Alembic's arguments)
        """Create a column."""
        if self.as_sql or column.name not in self._names("columns", table_name):
            super().add_column(table_name, column, **kw)

    def _names(self, kind: str, table: str) -> set[str]:
        # A new inspector each time, because inspectors cache.
        existing = getattr(inspect(self.connection), f"get_{kind}")(table)
        return {item["name"] for item in existing}


# Alembic selects the class by __dialect__.
class ResumableMySQLImpl(ResumableImpl, MySQLImpl):
    """Resumable migrations on MySQL."""

    __dialect__ = "mysql"


class ResumableMariaDBImpl(ResumableImpl, MariaDBImpl):
    """Resumable migrations on MariaDB."""

    __dialect__ = "mariadb"


class ResumableSQLiteImpl(ResumableImpl, SQLiteImpl):
    """Resumable migrations on SQLite."""

    __dialect__ = "sqlite"


def write_sql() -> None:
    """Print the statements instead of running them (`flask db upgrade --sql`)."""
    context.configure(url=migrate.db.engine.url, target_metadata=migrate.db.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


def run() -> None:
    """Run the migrations on the application's database."""
    with migrate.db.engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=migrate.db.metadata,
            # Commit each migration with its version, independent of later ones.
            transaction_per_migration=True,
            **migrate.configure_args,
        )
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    write_sql()
else:
    run()
