"""Outages of the database: their detection, and what they mean for a write.

The codes are those of MySQL and MariaDB (https://mariadb.com/kb/en/mariadb-error-code-reference/),
the classes those of PostgreSQL (https://www.postgresql.org/docs/current/errcodes-appendix.html).
"""

from __future__ import annotations

from flask import Flask, g, has_request_context
from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from .extensions import db

# Seconds. A database of a host restarts within a few seconds, a failover takes up to a minute.
RETRY_AFTER = 20

CODES = {
    *(1040, 1203, 1226),  # too many connections
    *(1053, 1077, 1079, 1927, 3032),  # shutdown, killed connection, offline
    *(1158, 1159, 1160, 1161),  # network
    *(1792, 1836),  # read-only transaction or server
    *(2002, 2003, 2005, 2006, 2013, 2055),  # no connection, or a lost one
}
# The error is an outage only if its message names the option read_only.
OPTION_PREVENTS_STATEMENT = 1290
# Connections, read-only transactions, resources, shutdown.
SQL_STATES = ("08", "25006", "53", "57P")
SQLITE_MESSAGES = (
    "unable to open database file",
    "attempt to write a readonly database",
    "database is locked",
    "disk I/O error",
)


def is_outage(error: SQLAlchemyError) -> bool:
    """Return whether the database is unavailable, as opposed to an error of the application."""
    if isinstance(error, PoolTimeoutError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    original = error.orig
    text = str(original)
    code = original.args[0] if original and original.args else None
    if isinstance(code, int):  # MySQL and MariaDB
        read_only = "read-only" in text or "read_only" in text
        return code in CODES or (code == OPTION_PREVENTS_STATEMENT and read_only)
    for name in ("sqlstate", "pgcode"):  # psycopg, psycopg2
        if hasattr(original, name):
            state = getattr(original, name)
            return state.startswith(SQL_STATES) if state else "connect" in text
    return text.startswith(SQLITE_MESSAGES)


def init_app(app: Flask) -> None:
    """Record whether a request has sent a COMMIT: its outcome is unknown if the connection is lost."""

    def record(_: Connection) -> None:
        if has_request_context():
            g.commit_sent = True

    with app.app_context():
        event.listen(db.engine, "commit", record)


def outcome() -> str:
    """Return the sentence about what the client of a failed write has sent."""
    if g.get("commit_sent"):
        return (
            "It may have been stored, or not. Please send it again in a minute: what arrives twice is"
            " stored once."
        )
    return "It was not stored. Please send it again in a minute."
