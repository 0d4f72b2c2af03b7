"""Settings: what the environment says, and what follows from it.

With ``DATABASE_URL`` this is a real site: it needs ``SECRET_KEY``, and its cookies travel over
HTTPS only. Without it, it is a developer's machine, where `flask run` needs no setting at all.
"""

from __future__ import annotations

import os
import re
import secrets
import tempfile
from collections.abc import Mapping
from datetime import timedelta, timezone, tzinfo
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import click
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from . import credentials

# Seconds. Shorter than the idle timeouts of managed databases and their proxies (300 and up), so
# that we close an idle connection before they do.
POOL_RECYCLE = 280

# Variables that are no secrets, and what they are without a value.
PLAIN = {
    "HARBOUR_TOWN": "Harbour",
    "HARBOUR_PROXIES": 0,
    "HARBOUR_LIMITS": "on",
    "HARBOUR_MAIL_FROM": "",
    "HARBOUR_MAIL_TO": "",
    "HARBOUR_PHOTOS": "",
    "HARBOUR_TIMEZONE": "UTC",
    "HARBOUR_URL": "",
    "HARBOUR_CENSUS_URL": "https://api.census.gov/data",
    "HARBOUR_FILM_NOTES": "",
    "HARBOUR_WEATHER_TOWNS": "",
    "HARBOUR_WEATHER_URL": "https://api.openweathermap.org",
}
# What a site may have and does without, each a credential.
OPTIONAL = ("CENSUS_API_KEY", "METRICS_TOKEN", "OPENWEATHERMAP_KEY", "REDIS_URL", "SMTP_URL")


class ConfigurationError(click.ClickException):
    """A setting has a value that cannot be used."""


def load(instance: Path, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return the application's whole configuration.

    Args:
        instance: the folder for a developer's database and key, and for photos; made only when it
            is needed.
        overrides: settings that win over the environment.

    Raises:
        credentials.MissingCredentialError: a production setting has no value anywhere.
        ConfigurationError: a setting has a value that cannot be used.
    """
    given: dict[str, Any] = {
        **{name: os.environ.get(name) or default for name, default in PLAIN.items()},
        **{name: credentials.find(name) for name in OPTIONAL if name not in overrides},
        **overrides,
    }
    url = given.get("DATABASE_URL") or credentials.find("DATABASE_URL")
    settings = {
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "PERMANENT_SESSION_LIFETIME": timedelta(hours=12),
        # A form stays valid as long as the browser is open: who writes a description for two
        # hours must not lose it.
        "WTF_CSRF_TIME_LIMIT": None,
        # Bytes of a request. Only the form with photos takes more, see photos.py.
        "MAX_CONTENT_LENGTH": 1024 * 1024,
        # Who was refused learns when to come back.
        "RATELIMIT_HEADERS_ENABLED": True,
        # Seconds, where no web server serves the static files.
        "SEND_FILE_MAX_AGE_DEFAULT": 300,
        **(_site(url, given) if url else _developer(instance)),
        **given,
        "HARBOUR_LIMITS": _switch("HARBOUR_LIMITS", given["HARBOUR_LIMITS"]),
        "HARBOUR_PHOTOS": _photos(given["HARBOUR_PHOTOS"], instance),
        "HARBOUR_PROXIES": _proxies(given["HARBOUR_PROXIES"]),
        "HARBOUR_TIMEZONE": _zone(given["HARBOUR_TIMEZONE"]),
        "HARBOUR_URL": _base(given, "HARBOUR_URL"),
        "HARBOUR_WEATHER_URL": _base(given, "HARBOUR_WEATHER_URL") or PLAIN["HARBOUR_WEATHER_URL"],
        "SMTP_URL": _smtp(given),
    }
    return {**_stores(settings), **settings}


def _site(url: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a real site, whose database somebody chose."""
    return {
        "SECRET_KEY": given.get("SECRET_KEY")
        or credentials.require("SECRET_KEY", "when DATABASE_URL is given"),
        # The prefix makes browsers refuse a cookie of this name that another host of the domain,
        # or a page without HTTPS, tries to set.
        "SESSION_COOKIE_NAME": "__Host-session",
        "SESSION_COOKIE_SECURE": True,
        "SQLALCHEMY_DATABASE_URI": url,
        "SQLALCHEMY_ENGINE_OPTIONS": _engine_options(url),
    }


def _developer(instance: Path) -> dict[str, Any]:
    """Return the settings of a developer's machine, with everything in the instance folder."""
    instance.mkdir(mode=0o700, exist_ok=True)
    return {
        "SECRET_KEY": _generated_key(instance / "secret_key"),
        "SESSION_COOKIE_SECURE": False,
        "SQLALCHEMY_DATABASE_URI": f"sqlite:///{instance / 'harbour.db'}",
    }


def _stores(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return where the cache and the counts of the limits are: in Redis, or in each worker.

    In a worker, each counts for itself: a visitor may have a limit as often as there are workers,
    and what is cached is made by each of them once.
    """
    url = settings["REDIS_URL"]
    if not url:
        return {
            "CACHE_TYPE": "SimpleCache",
            "RATELIMIT_STORAGE_URI": "memory://",
        }
    # Seconds. Who waits for Redis longer is better off without it.
    timeouts = {"socket_connect_timeout": 0.5, "socket_timeout": 0.5}
    # The same address is written in two ways for a Unix socket.
    limits_url = re.sub(r"^unix:", "redis+unix:", url)
    return {
        "CACHE_TYPE": "RedisCache",
        "CACHE_REDIS_URL": url,
        "CACHE_KEY_PREFIX": "harbour:",
        "CACHE_OPTIONS": timeouts,
        "RATELIMIT_STORAGE_URI": limits_url,
        "RATELIMIT_STORAGE_OPTIONS": timeouts,
        "RATELIMIT_KEY_PREFIX": "harbour",
        # Limits go on, counted by each worker, while Redis is away.
        "RATELIMIT_IN_MEMORY_FALLBACK_ENABLED": True,
    }


def _engine_options(url: str) -> dict[str, Any]:
    """Return SQLAlchemy's options for a database that may drop idle connections."""
    try:
        backend = make_url(url).get_backend_name()
    except (ArgumentError, ValueError):
        # SQLAlchemy's message would repeat the URL, and with it the password.
        raise ConfigurationError(
            "DATABASE_URL is not a database URL, such as mysql+pymysql://user@host/database"
        ) from None
    options: dict[str, Any] = {"pool_pre_ping": True}
    if backend in {"mysql", "mariadb"}:
        options["pool_recycle"] = POOL_RECYCLE
        # What is changed is what is there now, not what was there when the request began: newer
        # MariaDBs answer the difference with an error.
        options["isolation_level"] = "READ COMMITTED"
    return options


def _photos(value: str, instance: Path) -> str:
    """Return where photos are: a folder, or s3://BUCKET/PREFIX."""
    if not value:
        return str(instance / "photos")
    if value.startswith("s3://") and not re.fullmatch(r"s3://[a-z0-9.-]{3,63}(/[\w/-]*)?", value):
        raise ConfigurationError(
            f"HARBOUR_PHOTOS is {value!r}; on S3 it is s3://BUCKET or s3://BUCKET/PREFIX"
        )
    return value


def _proxies(value: Any) -> int:  # noqa: ANN401 (whatever the environment or a caller has)
    """Return the number of proxies in front of the application."""
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = -1
    if number < 0:
        raise ConfigurationError(f"HARBOUR_PROXIES is {value!r}; it takes a number: 0, 1, 2, …")
    return number


def _switch(name: str, value: object) -> bool:
    """Return whether something is on."""
    if value in (True, "on"):
        return True
    if value in (False, "off"):
        return False
    raise ConfigurationError(f"{name} is {value!r}; it takes on or off")


def _zone(value: object) -> tzinfo:
    """Return the site's time zone."""
    if isinstance(value, tzinfo):
        return value
    if value == "UTC":
        return timezone.utc  # which takes no package
    try:
        return ZoneInfo(str(value))
    except (OSError, ValueError, LookupError):
        raise ConfigurationError(
            f"HARBOUR_TIMEZONE is {value!r}, which this machine does not know; it is like"
            " America/St_Johns, and comes with the system's package tzdata"
        ) from None


def _base(given: Mapping[str, Any], name: str) -> str:
    """Return an address that others begin with, without a slash at its end."""
    value = str(given[name]).rstrip("/")
    try:
        parts = urlsplit(value)
        good = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if value and not (good and re.fullmatch(r"[!-~]+", value) and not parts.query + parts.fragment):
        raise ConfigurationError(f"{name} is not an address such as https://homes.example.com")
    return value


def _smtp(given: Mapping[str, Any]) -> str | None:
    """Return the mail server's URL, which needs somebody to write from and to."""
    url: str | None = given["SMTP_URL"]
    if not url:
        return None
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"smtp", "smtp+tls", "smtps"} and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good:
        # Not repeated: there is a password in it.
        raise ConfigurationError("SMTP_URL is not like smtp+tls://user:password@host:587")
    for name in ("HARBOUR_MAIL_FROM", "HARBOUR_MAIL_TO"):
        if "@" not in str(given[name]):
            raise ConfigurationError(f"{name} is needed with SMTP_URL: an e-mail address")
    return url


def _generated_key(path: Path) -> str:
    """Return the key in a file, which is made with a random one when it is not there.

    The file appears complete or not at all: the reloader starts two processes at once, and both
    must end up with the same key. That is why it is linked into place, which fails when the other
    was first, instead of renamed.
    """
    if not path.exists():
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".secret_key-")  # mode 0600
        try:
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(secrets.token_hex(32) + "\n")
            path.hardlink_to(temporary)
        except FileExistsError:
            pass
        finally:
            Path(temporary).unlink()
    return path.read_text(encoding="ascii").strip()
