"""The database of a site, as its application connects to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from ansible_collections.decanter.stack.plugins.plugin_utils.sites.names import url_host


@dataclass(frozen=True)
class Driver:
    """A driver of SQLAlchemy, by the scheme of a database URL."""

    # The distributions that provide the driver, the usual one first.
    distributions: Sequence[str]
    # Query parameters that, in addition to ssl_ca, make the driver verify the server's certificate and name.
    # None if a URL cannot request this; such a driver is rejected for a database on another host.
    verification: str | None = None


@dataclass(frozen=True)
class Engine:
    """A database engine as applications see it."""

    socket: str
    drivers: Mapping[str, Driver]  # by the scheme of the URL
    charset: str = ""  # a query parameter of each URL


ENGINES = {
    "mysql": Engine(
        socket="/run/mysqld/mysqld.sock",
        charset="charset=utf8mb4",
        drivers={
            "mysql": Driver(("mysqlclient",), "&ssl_mode=VERIFY_IDENTITY"),
            "mysql+mysqldb": Driver(("mysqlclient",), "&ssl_mode=VERIFY_IDENTITY"),
            # PyMySQL verifies the name as soon as it has a CA.
            "mysql+pymysql": Driver(("pymysql",), ""),
            "mysql+mysqlconnector": Driver(
                ("mysql-connector-python", "mysql-connector"),
                "&use_pure=true&ssl_verify_cert=true&ssl_verify_identity=true",
            ),
            "mysql+aiomysql": Driver(("aiomysql",)),
            "mysql+asyncmy": Driver(("asyncmy",)),
            "mysql+cymysql": Driver(("cymysql",)),
        },
    ),
}
# The parts of a connection that contain the password.
SECRET_PARTS = ("url", "password")


@dataclass(frozen=True)
class Server:
    """The database server of a host: its own, or one elsewhere if `host` is set."""

    host: str = ""
    port: int | str = 3306
    ca: str = ""  # the file of the CA that verifies a server elsewhere


@dataclass(frozen=True)
class Database:
    """The database of a site, without its password."""

    engine: str
    name: str
    auth: str  # socket or password
    driver: Mapping[str, Any] = field(
        default_factory=dict
    )  # `scheme`, and `any_of` the distributions that provide it


def resolve_database(site: Mapping[str, Any]) -> Database | None:
    """Return the database of a site, or None if it has none."""
    if not (database := site.get("database")):
        return None
    known = ENGINES[database["engine"]].drivers.get(database["scheme"])
    driver: dict[str, Any] = {}
    # Only a URL names the driver.
    if known and "url" in database["variables"].values():
        driver = {"scheme": database["scheme"], "any_of": list(known.distributions)}
    return Database(database["engine"], database["name"], database["auth"], driver)


def connection(name: str, database: Mapping[str, Any], server: Server) -> dict[str, str]:
    """Return the parts of a connection, by the words that the key `variables` permits."""
    engine = ENGINES[database["engine"]]
    parts = {"name": database["name"], "user": name}
    if database["auth"] == "socket":
        parts |= {"host": "localhost", "socket": engine.socket}
    else:
        # Not localhost, because drivers connect to a socket by this name.
        parts |= {"host": server.host or "127.0.0.1", "port": str(server.port)}
        parts |= {"password": database["password"]} | ({"ca": server.ca} if server.host else {})
    return parts | {"url": _url(engine, database["scheme"], parts)}


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


def client_login(site: Mapping[str, Any], name: str, server: Server) -> dict[str, str]:
    """Return how root's client logs in to the site's database elsewhere; empty for a database on the host."""
    if not server.host or not site.get("database"):
        return {}
    parts = connection(name, site["database"], server)
    return {key: parts[key] for key in ("host", "port", "user", "password", "ca") if key in parts}


def database_user(site: Mapping[str, Any], name: str, server: Server) -> dict[str, Any]:
    """Return the database account of a site, as roles/mysql reads it."""
    database = site["database"]
    return {
        "name": name,
        **{key: database[key] for key in ("auth", "password") if key in database},
        "databases": [database["name"]],
        # From any address: web hosts change, and behind a gateway their addresses are unknown. The password,
        # TLS and the server's network protect the account.
        **({"host": "%"} if server.host else {}),
    }


def _url(engine: Engine, scheme: str, parts: Mapping[str, str]) -> str:
    """Return the database URL, as SQLAlchemy reads it."""
    password = f":{quote(parts['password'], safe='')}" if "password" in parts else ""
    port = f":{parts['port']}" if "port" in parts else ""
    query = engine.charset
    if "socket" in parts:
        query = f"unix_socket={quote(parts['socket'], safe='/')}&{query}"
    if "ca" in parts:
        driver = engine.drivers.get(scheme)
        query = f"ssl_ca={quote(parts['ca'], safe='/')}{driver.verification or '' if driver else ''}&{query}"
    return f"{scheme}://{parts['user']}{password}@{url_host(parts['host'])}{port}/{parts['name']}?{query}"
