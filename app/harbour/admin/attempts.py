"""Failed logins, counted in the database, which all workers and hosts share.

After some attempts each further one requires a pause, which doubles. The counters are those of an
address, of an account at one address, and of a known device. There is none for an account alone,
because strangers could lock its moderator out with it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from datetime import timedelta

from flask import current_app
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from ..extensions import db, row_count
from ..models import LoginAttempts, now

# Attempts without a pause.
FREE = {"address": 20, "account": 5, "device": 10, "session": 10}
FIRST_PAUSE = timedelta(seconds=30)
MAX_PAUSE = timedelta(hours=1)
# Counters start again this long after the last pause.
LIFETIME = timedelta(days=1)
MAX_CONFLICTS = 5


class Key(str):
    """The key of a counter: a keyed hash, so that the table contains no names and addresses."""

    kind: str

    def __new__(cls, kind: str, *parts: str) -> Key:
        """Create the key of a kind of counter, and of what it counts."""
        secret = current_app.config["SECRET_KEY"].encode()
        key = super().__new__(
            cls, hmac.new(secret, repr((kind, *parts)).encode(), hashlib.sha256).hexdigest()
        )
        key.kind = kind
        return key


def pause(kind: str, failures: int) -> timedelta:
    """Return the pause after a number of attempts."""
    excess = failures - FREE[kind]
    return min(MAX_PAUSE, FIRST_PAUSE * 2 ** min(excess, 16)) if excess >= 0 else timedelta()


def reserve(key: Key) -> bool:
    """Count an attempt as failed, and return whether it is allowed.

    It is counted before the password is checked, because parallel attempts would otherwise all be
    allowed. Attempts during a pause do not extend it.
    """
    for _ in range(MAX_CONFLICTS):
        row = db.session.execute(
            select(LoginAttempts.failures, LoginAttempts.next_at).where(LoginAttempts.key == str(key))
        ).first()
        if row is None:
            if _create(key):
                return True
            continue
        moment = now()
        if row.next_at > moment:
            return False
        failures = 1 if moment - row.next_at > LIFETIME else row.failures + 1
        # Succeeds only if no other attempt was counted since.
        counted = db.session.execute(
            update(LoginAttempts)
            .where(
                LoginAttempts.key == str(key),
                LoginAttempts.failures == row.failures,
                LoginAttempts.next_at == row.next_at,
            )
            .values(failures=failures, next_at=moment + pause(key.kind, failures))
        )
        db.session.commit()
        if row_count(counted):
            return True
    return False


def _create(key: Key) -> bool:
    """Create a counter with one attempt, and delete old ones. Return False if it exists."""
    moment = now()
    values = {"key": str(key), "failures": 1, "next_at": moment + pause(key.kind, 1)}
    try:
        db.session.execute(insert(LoginAttempts).values(**values))
        db.session.execute(delete(LoginAttempts).where(LoginAttempts.next_at < moment - LIFETIME))
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        return False
    return True


def reset(keys: Iterable[Key]) -> None:
    """Delete counters after a successful attempt, without a commit."""
    db.session.execute(delete(LoginAttempts).where(LoginAttempts.key.in_([str(key) for key in keys])))
