"""Flask extensions, bound to an application in `harbour.create_app`."""

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

    Constraints are named by convention, so that migrations can drop them by name on every database.
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
    """Return the key of the rate limits: the visitor's IPv4 address or IPv6 /64 network.

    One IPv6 customer usually has a whole /64.
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
    """Return whether rate limits are off (`HARBOUR_LIMITS=off`)."""
    return not current_app.config["HARBOUR_LIMITS"]


def row_count(result: Result[Any]) -> int:
    """Return the number of rows matched by an UPDATE or a DELETE."""
    # `execute` is annotated with Result, but returns a CursorResult for these statements.
    return cast("CursorResult[Any]", result).rowcount


def cached_text(key: str, seconds: int, create: Callable[[], str]) -> str:
    """Return a text from the cache, or create it and cache it for some seconds.

    While Redis is unavailable, the text is created for each request.
    """
    try:
        if (text := cache.get(key)) is not None:
            return str(text)
        text = create()
        cache.set(key, text, timeout=seconds)
    except RedisError as error:
        logging.getLogger(__name__).warning("Redis did not respond: %s", error)
        return create()
    return text
