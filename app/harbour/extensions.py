"""The extensions, made here and bound to an application in `harbour.create_app`."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Callable
from typing import Any, cast

from flask import current_app, request
from flask_caching import Cache
from flask_limiter import Limiter
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect
from redis.exceptions import RedisError
from sqlalchemy import CursorResult, MetaData, Result
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    """The base of every model.

    Constraints get names by rule, so that a later migration can drop one by its name on every
    database.
    """

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def visitor() -> str:
    """Return what a limit counts: the visitor's address, or an IPv6 visitor's whole network.

    Who has one IPv6 address has a /64 of them.
    """
    try:
        address = ipaddress.ip_address(request.remote_addr or "")
    except ValueError:
        return "unknown"
    if address.version == 6:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


db = SQLAlchemy(model_class=Base)
migrate = Migrate()
csrf = CSRFProtect()
cache = Cache()
limiter = Limiter(key_func=visitor)


@limiter.request_filter
def unlimited() -> bool:
    """Whether limits are off, as in a test under load."""
    return not current_app.config["HARBOUR_LIMITS"]


def row_count(result: Result[Any]) -> int:
    """Return how many rows an UPDATE or a DELETE has matched."""
    # `execute` returns a CursorResult for these statements, although its type is that of any result.
    return cast("CursorResult[Any]", result).rowcount


def remembered(key: str, seconds: int, make: Callable[[], str]) -> str:
    """Return a text from the cache, or made anew and kept for so many seconds.

    While Redis is away it is made each time: a page that is slow is better than none.
    """
    try:
        if (text := cache.get(key)) is not None:
            return str(text)
        text = make()
        cache.set(key, text, timeout=seconds)
    except RedisError as error:
        logging.getLogger(__name__).warning("Redis did not answer: %s", error)
        return make()
    return text
