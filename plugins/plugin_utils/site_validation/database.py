"""Rules of a site's database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.decanter.stack.plugins.module_utils.databases import ENGINES
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.environment import FETCHED
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.messages import (
    Steps,
    error_line,
    schema_at,
)
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.values import part

# Contents of `database.variables` (plugin_utils/sites/database.py computes them), by `auth`.
PIECES = {
    "socket": {"url", "host", "name", "user", "socket"},
    "password": {"url", "host", "port", "name", "user", "password"},
}
# Schemes with a URL that can name the CA and require verification of the server's name.
VERIFYING_SCHEMES = sorted(
    scheme for engine in ENGINES.values() for scheme, driver in engine.drivers.items() if driver.verifies
)


def database_errors(site_id: Any, site: Any, host: str) -> Iterator[str]:
    """Yield the errors of a site's database, which is on a host, or on the site's own without one."""
    database = part(site, "database")
    steps = (site_id, "database")
    yield from login_lines(steps, database, host)
    yield from variable_lines(steps, database, host)
    if (
        part(site, "database", "auth", kind=str) == "password"
        and isinstance(site, dict)
        and site.get("outbound") is False
    ):
        expected = "true, because database.auth password requires TCP"
        yield error_line((site_id, "outbound"), False, expected=expected)


def login_lines(steps: Steps, database: dict[Any, Any], host: str) -> Iterator[str]:
    auth, step = database.get("auth", "socket"), (*steps, "password")
    if host and database and auth == "socket":
        yield error_line((*steps, "auth"), auth, expected=f"password, because the database is on {host}")
    if auth == "password" and "password" not in database:
        yield error_line(step)
    if auth == "socket" and "password" in database:
        yield error_line(step, database["password"], expected="no password where auth is socket")
    password = part(database, "password", kind=str)
    if password.startswith(tuple(FETCHED)):
        expected = (
            "the password itself, from Ansible Vault, because Decanter creates the database's user with it"
        )
        yield error_line(step, password, expected=expected)


def variable_lines(steps: Steps, database: dict[Any, Any], host: str) -> Iterator[str]:
    auth = database.get("auth", "socket")
    known = PIECES.get(auth if isinstance(auth, str) else "", set()) | ({"ca"} if host else set())
    everywhere = {"ca"}.union(*PIECES.values())
    variables = part(database, "variables")
    for name, piece in variables.items():
        if known and isinstance(piece, str) and piece not in known and piece in everywhere:
            where = (
                f"where auth is {auth}" if piece != "ca" else "where the database is on the site's own host"
            )
            expected = f"one of: {', '.join(sorted(known))} {where}"
            yield error_line((*steps, "variables", name), piece, expected=expected)
    scheme = database.get("scheme", schema_at((*steps, "scheme"))[0]["default"])
    if host and scheme not in VERIFYING_SCHEMES and "url" in variables.values():
        expected = (
            f"one of: {', '.join(VERIFYING_SCHEMES)} where the database is elsewhere, or no url in variables"
        )
        yield error_line((*steps, "scheme"), scheme, expected=expected)
