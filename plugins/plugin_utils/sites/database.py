"""The database of a site, as its application connects to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from ansible_collections.decanter.stack.plugins.module_utils.databases import engine_of
from ansible_collections.decanter.stack.plugins.plugin_utils.sites.names import url_host

# The parts of a connection that contain the password.
SECRET_PARTS = ("url", "password")


@dataclass(frozen=True)
class Server:
    """The database server of a host: its own, or one elsewhere if `host` is set."""

    host: str = ""
    port: int | str = 0  # 0: the engine's own
    ca: str = ""  # the file of the CA that verifies a server elsewhere


@dataclass(frozen=True)
class Database:
    """The database of a site, without its password."""

    engine: str
    name: str
    auth: str  # socket or password
    # `scheme`, and `any_of` the distributions that provide its driver. Empty if no variable has the URL.
    driver: Mapping[str, Any] = field(default_factory=dict)


def resolve_database(site: Mapping[str, Any]) -> Database | None:
    """Return the database of a site, or None if it has none."""
    if not (database := site.get("database")):
        return None
    known = engine_of(database).drivers.get(database["scheme"])
    driver: dict[str, Any] = {}
    # Only a URL names the driver.
    if known and "url" in database["variables"].values():
        driver = {"scheme": database["scheme"], "any_of": list(known.distributions)}
    return Database(database["engine"], database["name"], database["auth"], driver)


def connection(name: str, database: Mapping[str, Any], server: Server) -> dict[str, str]:
    """Return the parts of a connection, by the words that the key `variables` permits."""
    engine = engine_of(database)
    parts = {"name": database["name"], "user": name}
    if database["auth"] == "socket":
        parts |= {"host": "localhost", "socket": engine.socket}
    else:
        # Not localhost, because drivers connect to a socket by this name.
        parts |= {"host": server.host or "127.0.0.1", "port": str(server.port or engine.port)}
        parts |= {"password": database["password"]} | ({"ca": server.ca} if server.host else {})
    password = f":{quote(parts['password'], safe='')}" if "password" in parts else ""
    port = f":{parts['port']}" if "port" in parts else ""
    address = f"{parts['user']}{password}@{url_host(parts['host'])}{port}/{parts['name']}"
    scheme = database["scheme"]
    return parts | {"url": f"{scheme}://{address}?{engine.query(scheme, parts)}"}


def connection_variables(
    site: Mapping[str, Any], name: str, server: Server
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the environment variables of a site's database: those without and those with its password.

    Variables that the site sets itself, in `env` or `secrets`, are left out.
    """
    plain: dict[str, str] = {}
    secret: dict[str, str] = {}
    if database := site.get("database"):
        parts = connection(name, database, server)
        for variable, part in database["variables"].items():
            if variable not in site["env"] and variable not in site["secrets"]:
                contains_password = part in SECRET_PARTS and "password" in parts
                (secret if contains_password else plain)[variable] = parts[part]
    return plain, secret


def client_options(site: Mapping[str, Any], name: str, server: Server) -> str:
    """Return the option file of root's client for a database elsewhere, "" for a database on the host."""
    if not server.host or not (database := site.get("database")):
        return ""
    return engine_of(database).client_options(connection(name, database, server))


def database_users(site: Mapping[str, Any], name: str, server: Server) -> Sequence[dict[str, Any]]:
    """Return the database account of a site, as the engine's role reads it."""
    if not (database := site.get("database")):
        return []
    return [
        {
            "name": name,
            **{key: database[key] for key in ("auth", "password") if key in database},
            "databases": [database["name"]],
            # From any address: web hosts change, and behind a gateway their addresses are unknown. The
            # password, TLS and the server's network protect the account.
            **({"host": "%"} if server.host else {}),
        }
    ]
