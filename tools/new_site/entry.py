"""The entry of a new site: the proposal, and its problems.

Only keys of plugins/schema/sites are proposed.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ansible_collections.decanter.stack.plugins.filter.sites_check import site_errors
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.schema import SCHEMA

from tools.library import ROOT
from tools.new_site.configurations import REPLACE_ME
from tools.new_site.databases import DATABASE_PIECE, DATABASE_URL, MYSQL, scheme_of
from tools.new_site.source import Source

KEYS = SCHEMA["additionalProperties"]["properties"]

# Keys without a question.
GUESSED = (
    "requirements",
    "install",
    "packages",
    "services",
    "env",
    "secret_delivery",
    "health",
    "processes",
    "build",
    "uploads",
    "gunicorn",
    "nginx",
    "tls",
)
SECRET = re.compile(r"(.*_)?(SECRET|TOKEN|PASSWORD|PASSWD|PASS|KEY|DSN|SALT)(_KEY)?")
# Variables that Decanter, the system or a developer's machine sets.
IGNORED = re.compile(
    r"(FLASK|PYTHON|GUNICORN|XDG|WERKZEUG|DECANTER|LC|CI|GITHUB|DEV|TEST)_.*"
    r"|DEBUG|TESTING|ENV|HOME|HOST|LANG|PATH|PORT|PWD|TMPDIR|TZ|USER|VIRTUAL_ENV|WEB_CONCURRENCY"
    r"|CREDENTIALS_DIRECTORY|REDIS_URL|MEMCACHED_SOCKET"
)
# Distributions that are clients of a service.
SERVICES = {
    "redis": {"redis", "rq", "flask-redis", "flask-rq2"},
    "memcached": {"pylibmc", "pymemcache", "python-memcached"},
}
# Drivers by the schemes of SQLAlchemy's URLs.
SCHEME_DRIVERS = {
    "mysql": "mysqlclient",
    "mysql+mysqldb": "mysqlclient",
    "mysql+mysqlconnector": "mysql-connector-python",
}
# Extras and groups for a database. A name with other characters could be a template.
DATABASE_EXTRA = re.compile(
    r"(?i)(\.\[|group:)([\w.]+-)?(\w*mysql\w*|mariadb|databases?|db|sql)(-[\w.-]+)?\]?"
)
# Debian packages that a distribution is built with or loads.
NATIVE = {
    "mysqlclient": ["build-essential", "default-libmysqlclient-dev", "pkg-config", "python3-dev"],
    "python-magic": ["libmagic1"],
    "weasyprint": ["libpango-1.0-0", "libpangoft2-1.0-0"],
}


def has_key(*keys: str, value: str = "") -> bool:
    """Return whether the schema has a key of a site, and the value among the key's choices."""
    node: Any = {"properties": KEYS}
    for key in keys:
        node = node.get("properties", {}).get(key)
        if node is None:
            return False
    choices = node.get("enum") or node.get("items", {}).get("enum")
    return not value or value in (choices or [])


def vault(name: str, key: str) -> str:
    return (
        f"{{{{ vault_sites.{name}.{key} }}}}" if "-" not in name else f"{{{{ vault_sites['{name}'].{key} }}}}"
    )


# --- The proposal --------------------------------------------------------------------------


def is_elsewhere(group_vars: Path) -> bool:
    """Return whether `mysql_host` is set, so the database is on another host."""
    texts = (path.read_text("utf-8") for path in sorted(group_vars.glob("*.yml")))
    return any(re.search(r"""^mysql_host:\s*["']?[^\s"'#]""", text, re.M) for text in texts)


def database_entry(site: str, source: Source, elsewhere: bool) -> dict[str, Any]:
    """Return `database` with the variables that the application reads."""
    entry: dict[str, Any] = {"engine": "mysql"}
    urls = {name: "url" for name in source.env if DATABASE_URL.fullmatch(name)}
    matches = {name: match for name in source.env if (match := DATABASE_PIECE.fullmatch(name))}
    pieces = {name: match.lastgroup for name, match in matches.items()}
    # A socket does not reach another host, and an application with a password variable has no socket.
    if elsewhere or (not urls and "password" in pieces.values()):
        entry |= {"auth": "password", "password": vault(site, "database_password")}
        pieces = {name: piece for name, piece in pieces.items() if piece != "socket"}
    drivers = source.uses | (
        source.extras.get(missing_driver(source), set()) if has_key("install") else set()
    )
    if drivers & {"mysqlclient", "mysqldb"} and "pymysql" not in drivers and has_key("database", "scheme"):
        entry["scheme"] = "mysql+mysqldb"
    mapping = urls or pieces
    if mapping and mapping != {"DATABASE_URL": "url"} and has_key("database", "variables"):
        entry["variables"] = mapping
    return entry


def missing_driver(source: Source) -> str:
    """Return the item of `install` with a driver for MySQL, or "" if the requirements contain one.

    An extra or a group of the project with a driver, else the driver of the URL in the code, else PyMySQL,
    the driver of the default of `database.scheme`.
    """
    if source.uses & MYSQL:
        return ""
    extras = [
        name for name, names in source.extras.items() if names & MYSQL and DATABASE_EXTRA.fullmatch(name)
    ]
    if extras:
        return min(extras, key=lambda name: ("mysql" not in name and "mariadb" not in name, name))
    schemes = {url.partition("://")[0] for url in source.urls if scheme_of(url) == "mysql"}
    own_url = schemes and not any(DATABASE_URL.fullmatch(name) for name in source.env)
    if own_url and "mysql+pymysql" not in schemes:
        return SCHEME_DRIVERS.get(min(schemes), "pymysql")
    return "pymysql"


def variables(source: Source, database: bool) -> tuple[list[str], list[str], list[str]]:
    """Return the variables that the application reads: secrets, necessary ones, optional ones.

    `database` sets those of the application's own database. The address of another one is a secret.
    """
    secrets: list[str] = []
    needed: list[str] = []
    optional: list[str] = []
    for name, required in sorted(source.env.items()):
        if name in source.settings:
            needed.append(name)
            continue
        address, piece = DATABASE_URL.fullmatch(name), DATABASE_PIECE.fullmatch(name)
        if IGNORED.fullmatch(name) or not re.fullmatch("[A-Z][A-Z0-9_]*", name):
            continue
        if database and (address or piece):
            continue
        secret = SECRET.fullmatch(name) or (address and (required or source.unsupported))
        (secrets if secret else needed if required else optional).append(name)
    return secrets, needed, optional


def make_entry(
    name: str, answers: dict[str, Any], source: Source, tls: dict[str, Any] | None, elsewhere: bool = False
) -> dict[str, Any]:
    """Return the entry, with its keys in the order of docs/sites.md."""
    entry = {key: answers[key] for key in ("server_names", "source", "wsgi")}
    if source.requirements and has_key("requirements"):
        entry["requirements"] = source.requirements
    driver = missing_driver(source) if answers.get("database") and has_key("install") else ""
    if driver:
        entry["install"] = [driver]
    installed = source.uses | source.extras.get(driver, {driver})
    if packages := sorted({package for name in installed & NATIVE.keys() for package in NATIVE[name]}):
        entry["packages"] = packages
    if source.build:
        entry["build"] = source.build
    if answers.get("database"):
        entry["database"] = database_entry(name, source, elsewhere)
    services = [
        service
        for service, clients in SERVICES.items()
        if source.uses & clients and has_key("services", value=service)
    ]
    if services:
        entry["services"] = services
    secrets, needed, _ = variables(source, "database" in entry)
    if needed:
        entry["env"] = {name: source.settings.get(name, REPLACE_ME) for name in needed}
    if secrets:
        entry["secrets"] = vault(name, "secrets")
    # An application that reads CREDENTIALS_DIRECTORY has its secrets from files.
    if needs_vault(entry) and "CREDENTIALS_DIRECTORY" not in source.env:
        entry |= {"secret_delivery": "environment"} if has_key("secret_delivery", value="environment") else {}
    if answers.get("migrate"):
        entry["migrate"] = answers["migrate"]
    if source.health:
        entry["health"] = {"path": source.health}
    if source.processes:
        entry["processes"] = source.processes
    if answers.get("static"):
        entry["static"] = answers["static"]
    if source.uploads and has_key("uploads"):
        entry["uploads"] = source.uploads
    entry |= {key: value for key, value in connections(source).items() if value}
    return entry | ({"tls": tls} if tls else {})


def connections(source: Source) -> dict[str, Any]:
    """Return `gunicorn` and `nginx` for the workers and the WebSockets of the application."""
    gunicorn: dict[str, Any] = {}
    websockets: list[str] | bool = "flask-sock" in source.uses or source.websockets
    worker_class = source.worker_class
    if "flask-socketio" in source.uses:
        # A session of Socket.IO is in the memory of one worker.
        gunicorn["workers"] = 1
        websockets = ["/socket.io/"]
        worker_class = worker_class or ("gevent" if "gevent" in source.uses else "")
    if worker_class and has_key("gunicorn", "worker_class", value=worker_class):
        gunicorn["worker_class"] = worker_class
    return {"gunicorn": gunicorn, "nginx": {"websockets": websockets} if websockets else {}}


def needs_vault(entry: dict[str, Any]) -> bool:
    return "secrets" in entry or "password" in entry.get("database", {})


def choose_tls(sites: dict[str, Any], environment: str) -> dict[str, Any] | None:
    """Return `tls` of the other sites if all have the same mode, else None, which is the default.

    The first site of an environment gets a certificate that browsers trust. Names of the lab are not public.
    """
    if not sites and environment != "lab":
        return {"mode": "acme"}
    found = [site.get("tls") for site in sites.values() if isinstance(site, dict)]
    shared = bool(found) and all(tls == found[0] for tls in found)
    # A provided certificate belongs to one site.
    return found[0] if shared and found[0] and found[0].keys() == {"mode"} else None


def unfinished(sites: dict[str, Any]) -> list[str]:
    """Return the sites with a placeholder, which make a converge fail."""
    lines = [line for line in site_errors(sites, str(ROOT)) if "placeholder" in line] if sites else []
    return [name for name in sites if any(line.startswith(f"sites.{name}.") for line in lines)]


def problems(sites: dict[str, Any], name: str, entry: dict[str, Any], secrets: list[str]) -> list[str]:
    """Return the messages of validation for this entry. Values to fill in count as valid."""
    placeholder = "filled-in-by-then"
    complete = entry | ({"secrets": dict.fromkeys(secrets, placeholder)} if "secrets" in entry else {})
    if "env" in entry:
        complete["env"] = {key: value.replace(REPLACE_ME, placeholder) for key, value in entry["env"].items()}
    if "password" in entry.get("database", {}):
        complete["database"] = entry["database"] | {"password": placeholder}
    before = site_errors(sites, str(ROOT)) if sites else []
    return [line for line in site_errors(sites | {name: complete}, str(ROOT)) if line not in before]


def without_refused(
    sites: dict[str, Any], name: str, entry: dict[str, Any], secrets: list[str]
) -> tuple[dict[str, Any], list[str]]:
    """Return the entry without guesses that validation rejects, and the messages of validation."""
    refused: list[str] = []
    while True:
        before = entry
        for line in problems(sites, name, entry, secrets):
            steps = line.removeprefix(f"sites.{name}.").partition(": ")[0]
            key = next((key for key in GUESSED if key in before and re.match(rf"{key}\b", steps)), None)
            if key and line.startswith(f"sites.{name}."):
                entry = entry | {key: without_item(entry[key], steps.removeprefix(key))}
            elif steps.startswith("database.variables"):
                database = {
                    other: value for other, value in entry["database"].items() if other != "variables"
                }
                entry = entry | {"database": database}
            else:
                continue
            refused.append(line)
        if entry is before:
            return entry, refused
        entry = {key: compact(value) for key, value in entry.items()}
        entry = {key: value for key, value in entry.items() if key not in GUESSED or value}


def compact(value: Any) -> Any:
    return [item for item in value if item is not None] if isinstance(value, list) else value


def without_item(value: Any, steps: str) -> Any:
    """Return a value without the item at a path such as `[0].url` or `.TOKEN`, or an empty one.

    An item of a list becomes None, so that the numbers of the other items stay the same.
    """
    index, item = re.match(r"\[(\d+)\]", steps), re.match(r"\.(\w[\w-]*)", steps)
    if isinstance(value, list) and index:
        return [None if number == int(index[1]) else other for number, other in enumerate(value)]
    if isinstance(value, dict) and item and item[1] in value:
        return {key: other for key, other in value.items() if key != item[1]}
    return None
