"""Resolve an entry of `sites` into the object that roles and templates read.

The object has the inventory's own keys, with their defaults, and these additions:

    name            the site's id
    path            the path below which the site lives; "" if it has its names for itself
    server_names    the first one is canonical, and the others redirect to it. With `path`, those of the
                    other site
    url             the canonical address, with https:// and the public port
    paths           see module_utils/paths.py
    units           see Units
    interpreter     see interpreter.Interpreter
    environment     see environment.Environment
    database        see database.Database; None if the site has none
    health          with `url`, and `location`: the path as an exact location of nginx, "" if it cannot be
                    one. All three include the site's `path`
    timers          those that run on this host
    static          each with `location`, the URL path with the site's `path`, and `directory`, the folder
                    on the host that has the files of the last releases
    gunicorn        with `graceful_timeout` of at least `timeout`
    nginx           see resolve_nginx
    tls             see resolve_tls

Secrets are not part of it, because results of loops and `-vvv` show it: `env` and `secrets` are replaced by
`environment`, and `nginx.basic_auth` is true or false. `source` and `files` are for the controller only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.decanter.stack.plugins.module_utils.databases import ENGINES
from ansible_collections.decanter.stack.plugins.module_utils.paths import SitePaths, slice_name
from ansible_collections.decanter.stack.plugins.plugin_utils.sites.database import Server, resolve_database
from ansible_collections.decanter.stack.plugins.plugin_utils.sites.environment import (
    Environment,
    resolve_environment,
)
from ansible_collections.decanter.stack.plugins.plugin_utils.sites.interpreter import resolve_interpreter
from ansible_collections.decanter.stack.plugins.plugin_utils.sites.names import (
    EXACT_LOCATION,
    certificate_names,
    handshake_names,
    url_host,
)

# Keys of the inventory that are secret, or that another section of the object replaces.
REPLACED = ("build_secrets", "database", "env", "files", "python", "secrets", "source", "state")


@dataclass(frozen=True)
class Host:
    """Values of a host's sites that depend on the topology."""

    # Whether the host runs timers with `on: one`.
    first: bool = True
    database: Server = field(default_factory=Server)
    https_port: int | str = 443

    @classmethod
    def from_variables(cls, variables: Mapping[str, Any]) -> Host:
        database = variables.get("database", {})
        return cls(**{**variables, "database": Server(**database)})


@dataclass(frozen=True)
class Units:
    """The systemd units of a site."""

    # Services of the site, which are started before its own units at boot.
    after: Sequence[str]
    # Servers of all engines, which also start first. A unit that does not exist is ignored.
    databases: Sequence[str]
    # The unit that fetches the site's secrets from AWS; "" if none has to be fetched.
    credentials: str
    # The slice of all of them, which has their limits.
    slice: str
    # Files and folders that the units read. A unit that is older than one of them is restarted.
    reads: Sequence[str]


def resolve(
    name: str, site: Mapping[str, Any], host: Host, owner: tuple[str, Mapping[str, Any]] | None = None
) -> dict[str, Any]:
    """Return a site with its defaults as the object that roles and templates read on a host.

    `owner` is the site of the name, with its id, if the site has a `path`.
    """
    paths = SitePaths(name)
    if owner:
        owner_paths = SitePaths(owner[0])
        paths.certificate, paths.certificate_key = owner_paths.certificate, owner_paths.certificate_key
        nginx = {**site["nginx"], "hsts": owner[1]["nginx"]["hsts"]}
        site = {**site, "tls": owner[1]["tls"], "server_names": owner[1]["server_names"], "nginx": nginx}
    environment = resolve_environment(site, name, host.database)
    database = resolve_database(site)
    port = "" if int(host.https_port) == 443 else f":{host.https_port}"
    below = site.get("path", "")
    url = f"https://{url_host(site['server_names'][0])}{port}"
    path = f"{below}{site['health']['path']}"
    return {
        **{key: value for key, value in site.items() if key not in REPLACED},
        "name": name,
        "path": below,
        "url": f"{url}{below}/",
        "indexes": [{key: index[key] for key in ("name", "url", "default")} for index in site["indexes"]],
        "paths": vars(paths),
        "units": vars(resolve_units(name, site, environment, paths)),
        "interpreter": vars(resolve_interpreter(site)),
        "environment": vars(environment),
        "database": vars(database) if database else None,
        "health": site["health"] | {"path": path, "url": f"{url}{path}", "location": _location(below, path)},
        "timers": {
            timer: value
            for timer, value in sorted(site["timers"].items())
            if host.first or value["on"] == "all"
        },
        "static": [
            folder
            | {
                "location": f"{below}{folder['url']}",
                "directory": f"{paths.assets}/{folder['url'].strip('/')}",
            }
            for folder in site["static"]
        ],
        "gunicorn": resolve_gunicorn(site["gunicorn"]),
        "nginx": resolve_nginx(site["nginx"]),
        "tls": resolve_tls(site),
    }


def resolve_units(name: str, site: Mapping[str, Any], environment: Environment, paths: SitePaths) -> Units:
    files = ("environment", "credentials", "secrets.env", "fetched.json", "gunicorn.conf.py")
    reads = [f"{paths.configuration}/{file}" for file in files]
    if environment.fetched:
        reads.append(paths.fetched_credentials)
    return Units(
        after=[f"{service}@{name}.service" for service in sorted(site["services"])],
        databases=[unit for engine in ENGINES.values() for unit in engine.units],
        credentials=f"decanter-credentials@{name}.service" if environment.fetched else "",
        slice=slice_name(name),
        reads=reads,
    )


def resolve_gunicorn(gunicorn: Mapping[str, Any]) -> dict[str, Any]:
    timeout = gunicorn["timeout"]
    return {**gunicorn, "graceful_timeout": max(timeout, gunicorn.get("graceful_timeout", timeout))}


def resolve_nginx(nginx: Mapping[str, Any]) -> dict[str, Any]:
    """Return the key `nginx` with one spelling of each header.

    `limits` and `cache` are dictionaries, empty if the site has none. `websockets` is a list of prefixes.
    `long_lived`: whether the site has WebSockets or streams.
    """
    websockets = ["/"] if nginx["websockets"] is True else nginx["websockets"] or []
    cache = dict(nginx["cache"]) if isinstance(nginx["cache"], Mapping) else {}
    return {
        **nginx,
        "headers": {header.title(): value for header, value in nginx["headers"].items()},
        "limits": nginx["limits"] or {},
        "cache": {"seconds": 1, "harmless_cookies": [], "except": []} | cache if nginx["cache"] else {},
        "basic_auth": "basic_auth" in nginx,
        "websockets": websockets,
        "long_lived": bool(websockets or nginx["streams"]),
    }


def resolve_tls(site: Mapping[str, Any]) -> dict[str, Any]:
    """Return the key `tls` without the certificate and its key, and with names.

    names: those of the certificate. handshake_name: the name that a balancer sends in a handshake; "" if all
    names are addresses or wildcards.
    verifiable: whether a balancer that has the private CA can verify the web host by this name.
    """
    names = handshake_names(site["server_names"])
    return {
        **{key: value for key, value in site["tls"].items() if key not in ("certificate", "key")},
        "names": certificate_names(site["server_names"]),
        "handshake_name": (names or [""])[0],
        "verifiable": bool(names) and site["tls"]["mode"] == "ca",
    }


def _location(below: str, path: str) -> str:
    location = path.split("?")[0]
    return location if EXACT_LOCATION.fullmatch(location.removeprefix(below)) else ""
