"""How Alembic reaches the application's database. `flask db …` runs it.

MySQL, MariaDB and SQLite commit after each statement that changes tables: a migration that is cut
off stays half done. So what a migration makes is made here only where it is missing, and one that
was cut off is run again.
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

# The application's own loggers stay as they are.
fileConfig(context.config.config_file_name, disable_existing_loggers=False)

migrate = current_app.extensions["migrate"]


class Resumed(DefaultImpl):
    """Makes what a migration asks for, unless a run that was cut off has made it."""

    def create_table(self, table: Table, **kw: Any) -> None:  # noqa: ANN401 (Alembic's own)
        """Make a table."""
        if self.as_sql or not inspect(self.connection).has_table(table.name):
            super().create_table(table, **kw)

    def create_index(self, index: Index, **kw: Any) -> None:  # noqa: ANN401 (likewise)
        """Make an index."""
        if self.as_sql or index.name not in self._names("indexes", index.table.name):  # type: ignore[union-attr]
            super().create_index(index, **kw)

    def add_column(self, table_name: str, column: Column[Any], **kw: Any) -> None:  # noqa: ANN401 (likewise)
        """Make a column."""
        if self.as_sql or column.name not in self._names("columns", table_name):
            super().add_column(table_name, column, **kw)

    def _names(self, things: str, table: str) -> set[str]:
        # Anew each time: an inspector remembers what it has seen.
        there = getattr(inspect(self.connection), f"get_{things}")(table)
        return {thing["name"] for thing in there}


# A class is what Alembic uses for the database that it names.
class ResumedMySQL(Resumed, MySQLImpl):
    """On MySQL."""

    __dialect__ = "mysql"


class ResumedMariaDB(Resumed, MariaDBImpl):
    """On MariaDB."""

    __dialect__ = "mariadb"


class ResumedSQLite(Resumed, SQLiteImpl):
    """On SQLite."""

    __dialect__ = "sqlite"


def write_sql() -> None:
    """Write the statements instead of running them (`flask db upgrade --sql`)."""
    context.configure(url=migrate.db.engine.url, target_metadata=migrate.db.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


def run() -> None:
    """Run the migrations on the application's database."""
    with migrate.db.engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=migrate.db.metadata,
            # Each is done when its number is written down, whatever becomes of the next.
            transaction_per_migration=True,
            **migrate.configure_args,
        )
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    write_sql()
else:
    run()
