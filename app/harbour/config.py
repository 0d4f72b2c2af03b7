"""Settings from the environment, and the Flask configuration derived from them.

With ``DATABASE_URL`` the configuration is for production: ``SECRET_KEY`` is required and cookies
are sent over HTTPS only. Without it, `flask run` works on a developer's machine without settings.
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

# Seconds. Shorter than the idle timeouts of managed databases and their proxies (300 or more), so
# that the application closes idle connections first.
POOL_RECYCLE = 280
# Seconds that a request waits for a connection. Longer waits block the workers during an outage.
CONNECT_TIMEOUT = 3
POOL_TIMEOUT = 5
DRIVERS = {"pymysql", "mysqldb", "psycopg", "psycopg2"}  # with the parameter connect_timeout

# Settings that are not secret, with their defaults.
DEFAULTS = {
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
# Optional credentials.
OPTIONAL = ("CENSUS_API_KEY", "METRICS_TOKEN", "OPENWEATHERMAP_KEY", "REDIS_URL", "SMTP_URL")


class ConfigurationError(click.ClickException):
    """Invalid value of a setting."""


def load(instance: Path, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return the application's complete configuration.

    Args:
        instance: the folder for the development database and key, and for photos; created when
            needed.
        overrides: settings that take precedence over the environment.

    Raises:
        credentials.MissingCredentialError: a required credential has no value.
        ConfigurationError: a setting has an invalid value.
    """
    values: dict[str, Any] = {
        **{name: os.environ.get(name) or default for name, default in DEFAULTS.items()},
        **{name: credentials.find(name) for name in OPTIONAL if name not in overrides},
        **overrides,
    }
    url = values.get("DATABASE_URL") or credentials.find("DATABASE_URL")
    settings = {
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "PERMANENT_SESSION_LIFETIME": timedelta(hours=12),
        # A form stays valid while the browser is open, so that visitors do not lose a long text.
        "WTF_CSRF_TIME_LIMIT": None,
        # Bytes of a request. The form with photos has its own limit, see photos.py.
        "MAX_CONTENT_LENGTH": 1024 * 1024,
        # Sends Retry-After with 429.
        "RATELIMIT_HEADERS_ENABLED": True,
        # Seconds, used where no web server serves the static files.
        "SEND_FILE_MAX_AGE_DEFAULT": 300,
        **(_production(url, values) if url else _development(instance)),
        **values,
        "HARBOUR_LIMITS": _switch("HARBOUR_LIMITS", values["HARBOUR_LIMITS"]),
        "HARBOUR_PHOTOS": _photos(values["HARBOUR_PHOTOS"], instance),
        "HARBOUR_PROXIES": _proxies(values["HARBOUR_PROXIES"]),
        "HARBOUR_TIMEZONE": _zone(values["HARBOUR_TIMEZONE"]),
        "HARBOUR_URL": _base(values, "HARBOUR_URL"),
        "HARBOUR_WEATHER_URL": _base(values, "HARBOUR_WEATHER_URL") or DEFAULTS["HARBOUR_WEATHER_URL"],
        "SMTP_URL": _smtp(values),
    }
    return {**_redis(settings), **settings}


def _production(url: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the production settings."""
    return {
        "SECRET_KEY": values.get("SECRET_KEY")
        or credentials.require("SECRET_KEY", "when DATABASE_URL is set"),
        # With this prefix browsers reject the cookie from sibling hosts and from pages without HTTPS.
        "SESSION_COOKIE_NAME": "__Host-session",
        "SESSION_COOKIE_SECURE": True,
        "SQLALCHEMY_DATABASE_URI": url,
        "SQLALCHEMY_ENGINE_OPTIONS": _engine_options(url),
    }


def _development(instance: Path) -> dict[str, Any]:
    """Return the settings of a developer's machine, with all data in the instance folder."""
    instance.mkdir(mode=0o700, exist_ok=True)
    return {
        "SECRET_KEY": _generated_key(instance / "secret_key"),
        "SESSION_COOKIE_SECURE": False,
        "SQLALCHEMY_DATABASE_URI": f"sqlite:///{instance / 'harbour.db'}",
    }


def _redis(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the storage of the cache and of the rate limits: Redis, or the memory of each worker.

    Without Redis each worker counts separately, so the limits multiply by the number of workers,
    and each worker fills its own cache.
    """
    url = settings["REDIS_URL"]
    if not url:
        return {
            "CACHE_TYPE": "SimpleCache",
            "RATELIMIT_STORAGE_URI": "memory://",
        }
    # Seconds. After this time, a response without Redis is faster.
    timeouts = {"socket_connect_timeout": 0.5, "socket_timeout": 0.5}
    # redis-py and limits use different schemes for Unix sockets.
    limits_url = re.sub(r"^unix:", "redis+unix:", url)
    return {
        "CACHE_TYPE": "RedisCache",
        "CACHE_REDIS_URL": url,
        "CACHE_KEY_PREFIX": "harbour:",
        "CACHE_OPTIONS": timeouts,
        "RATELIMIT_STORAGE_URI": limits_url,
        "RATELIMIT_STORAGE_OPTIONS": timeouts,
        "RATELIMIT_KEY_PREFIX": "harbour",
        # Count in each worker while Redis is unavailable.
        "RATELIMIT_IN_MEMORY_FALLBACK_ENABLED": True,
    }


def _engine_options(url: str) -> dict[str, Any]:
    """Return SQLAlchemy's options for a database that may drop idle connections."""
    try:
        parsed = make_url(url)
        backend, driver = parsed.get_backend_name(), parsed.get_driver_name()
    except (ArgumentError, ValueError):
        # SQLAlchemy's message would contain the URL and its password.
        raise ConfigurationError(
            "DATABASE_URL: invalid database URL, expected one such as mysql+pymysql://user@host/database"
        ) from None
    options: dict[str, Any] = {"pool_pre_ping": True}
    if backend != "sqlite":
        options["pool_timeout"] = POOL_TIMEOUT
    if driver in DRIVERS and "connect_timeout" not in parsed.query:
        options["connect_args"] = {"connect_timeout": CONNECT_TIMEOUT}
    if backend in {"mysql", "mariadb"}:
        options["pool_recycle"] = POOL_RECYCLE
        # With REPEATABLE READ, newer MariaDBs fail UPDATEs of rows that changed since the snapshot.
        options["isolation_level"] = "READ COMMITTED"
    return options


def _photos(value: str, instance: Path) -> str:
    """Return the location of the photos: a folder, or s3://BUCKET/PREFIX."""
    if not value:
        return str(instance / "photos")
    if value.startswith("s3://") and not re.fullmatch(r"s3://[a-z0-9.-]{3,63}(/[\w/-]*)?", value):
        raise ConfigurationError(
            f"HARBOUR_PHOTOS: found {value!r}, expected s3://BUCKET or s3://BUCKET/PREFIX"
        )
    return value


def _proxies(value: Any) -> int:  # noqa: ANN401 (a string, or a test's value)
    """Return the number of proxies in front of the application."""
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = -1
    if number < 0:
        raise ConfigurationError(f"HARBOUR_PROXIES: found {value!r}, expected a number: 0, 1, 2, …")
    return number


def _switch(name: str, value: object) -> bool:
    """Return whether a switch is on."""
    if value in (True, "on"):
        return True
    if value in (False, "off"):
        return False
    raise ConfigurationError(f"{name}: found {value!r}, expected on or off")


def _zone(value: object) -> tzinfo:
    """Return the site's time zone."""
    if isinstance(value, tzinfo):
        return value
    if value == "UTC":
        return timezone.utc  # needs no tzdata
    try:
        return ZoneInfo(str(value))
    except (OSError, ValueError, LookupError):
        raise ConfigurationError(
            f"HARBOUR_TIMEZONE: found {value!r}, expected a time zone of this system such as"
            " America/St_Johns. Install the package tzdata if it is missing."
        ) from None


def _base(values: Mapping[str, Any], name: str) -> str:
    """Return a base URL without a trailing slash."""
    value = str(values[name]).rstrip("/")
    try:
        parts = urlsplit(value)
        valid = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if value and not (valid and re.fullmatch(r"[!-~]+", value) and not parts.query + parts.fragment):
        raise ConfigurationError(f"{name}: invalid, expected a URL such as https://homes.example.com")
    return value


def _smtp(values: Mapping[str, Any]) -> str | None:
    """Return the mail server's URL, which requires a sender and a recipient."""
    url: str | None = values["SMTP_URL"]
    if not url:
        return None
    try:
        parts = urlsplit(url)
        valid = parts.scheme in {"smtp", "smtp+tls", "smtps"} and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        # The message omits the value because it contains a password.
        raise ConfigurationError("SMTP_URL: invalid, expected smtp+tls://user:password@host:587")
    for name in ("HARBOUR_MAIL_FROM", "HARBOUR_MAIL_TO"):
        if "@" not in str(values[name]):
            raise ConfigurationError(f"{name}: SMTP_URL requires an e-mail address here.")
    return url


def _generated_key(path: Path) -> str:
    """Return the key in a file. Create the file with a random key if it does not exist.

    The file is created atomically, because the reloader starts two processes at once and both must use
    the same key. A hard link fails if the file exists; a rename would replace the other process's key.
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
