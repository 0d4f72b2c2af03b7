"""Settings: what the environment says, and what follows from it.

With ``DATABASE_URL`` this is a real site: it needs ``SECRET_KEY``, and its cookies travel over
HTTPS only. Without it, it is a developer's machine, where `flask run` needs no setting at all.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from . import credentials

# Seconds. Shorter than the idle timeouts of managed databases and their proxies (300 and up), so
# that we close an idle connection before they do.
POOL_RECYCLE = 280


class ConfigurationError(click.ClickException):
    """A setting has a value that cannot be used."""


def load(instance: Path, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return the application's whole configuration.

    Args:
        instance: the folder for a developer's database and key; made only when it is needed.
        overrides: settings that win over the environment.

    Raises:
        credentials.MissingCredentialError: a production setting has no value anywhere.
        ConfigurationError: a setting has a value that cannot be used.
    """
    given: dict[str, Any] = {
        "HARBOUR_TOWN": os.environ.get("HARBOUR_TOWN") or "Harbour",
        "HARBOUR_PROXIES": os.environ.get("HARBOUR_PROXIES") or 0,
        **overrides,
    }
    url = given.get("DATABASE_URL") or credentials.find("DATABASE_URL")
    return {
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        # A form stays valid as long as the browser is open: who writes a description for two
        # hours must not lose it.
        "WTF_CSRF_TIME_LIMIT": None,
        **(_site(url, given) if url else _developer(instance)),
        **given,
        "HARBOUR_PROXIES": _proxies(given["HARBOUR_PROXIES"]),
    }


def _site(url: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a real site, whose database somebody chose."""
    return {
        "SECRET_KEY": given.get("SECRET_KEY")
        or credentials.require("SECRET_KEY", "when DATABASE_URL is given"),
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
    return options


def _proxies(value: Any) -> int:  # noqa: ANN401 (whatever the environment or a caller has)
    """Return the number of proxies in front of the application."""
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = -1
    if number < 0:
        raise ConfigurationError(f"HARBOUR_PROXIES is {value!r}; it takes a number: 0, 1, 2, …")
    return number


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
