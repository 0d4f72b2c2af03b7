"""Change generated sites so that their keys are permitted together.

The rules are those of plugins/plugin_utils/site_validation, which a schema cannot express.
"""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.nginx import TWO_YEARS
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.schema import SCHEMA
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.values import overlap
from ansible_collections.decanter.stack.plugins.plugin_utils.sites.names import EXACT_LOCATION
from schema_strategies import is_valid

Site = dict[str, Any]
VARIABLES = SCHEMA["additionalProperties"]["properties"]["env"]["propertyNames"]


def consistent(site: Site, number: int, database_host: str) -> Site:
    """Return the site of this number in an inventory. `database_host` is that of site_errors."""
    consistent_paths(site)
    consistent_names(site)
    consistent_database(site, number, database_host)
    consistent_nginx(site)
    consistent_tls(site)
    if site.get("instance_role") and site.get("outbound") is False:
        del site["outbound"]
    return site


def consistent_paths(site: Site) -> None:
    taken = [".venv", ".package"]

    def is_free(path: str) -> bool:
        free = not any(overlap(path, other) for other in taken)
        taken.extend([path] if free else [])
        return free

    site["uploads"] = [path for path in site.get("uploads", []) if is_free(path)]
    site["files"] = {path: file for path, file in site.get("files", {}).items() if is_free(path)}
    folders = {folder["url"]: folder for folder in site.get("static", [])}
    site["static"] = [
        folder
        for folder in folders.values()
        if not any(overlap(folder["path"], upload) for upload in site["uploads"])
    ]


def consistent_names(site: Site) -> None:
    site["indexes"] = [
        {**index, "name": f"index{position}", "default": position == 0}
        for position, index in enumerate(site.get("indexes", []))
    ]
    for name in site.get("processes", {}):
        site.get("timers", {}).pop(name, None)
    if site.get("secret_delivery") == "environment":
        secrets = site.get("secrets", {})
        site["secrets"] = {name: "x" for name in secrets if is_valid(VARIABLES, name)}
    for name in site.get("secrets", {}):
        site.get("env", {}).pop(name, None)


def consistent_database(site: Site, number: int, database_host: str) -> None:
    if not (database := site.get("database")):
        return
    if database_host:
        database["auth"] = "password"
    if "name" in database:  # unique in an inventory
        database["name"] = f"{database['name'][:62]}_{number}"
    database.pop("password", None)
    if database.get("auth") == "password":
        database["password"] = f"p%'\"\\{'x' * 20}"
        site.update({"outbound": True} if site.get("outbound") is False else {})
    for name in list(database.get("variables", {})):
        if name in site.get("env", {}) or name in site.get("secrets", {}):
            del database["variables"][name]


def consistent_nginx(site: Site) -> None:
    nginx, health = site.get("nginx", {}), site.get("health", {})
    names = {name.lower(): name for name in nginx.get("headers", {})}
    if names:
        nginx["headers"] = {name: nginx["headers"][name] for name in names.values()}
    if nginx.get("hsts", {}).get("preload"):
        nginx["hsts"] |= {"subdomains": True, "seconds": TWO_YEARS}
    if "basic_auth" in nginx and not EXACT_LOCATION.fullmatch(health.get("path", "/")):
        site["health"] = health | {
            "path": "/" + re.sub(r"[^\w.~+@:,/-]", "x", health.get("path", "/")[1:] or "x")
        }


def consistent_tls(site: Site) -> None:
    tls = site.get("tls", {})
    mode = tls.get("mode", "self-signed")
    of_mode = {"provided": {"certificate", "key"}, "acme": {"challenge", "profile", "key_type"}}
    for key in set().union(*of_mode.values()) - of_mode.get(mode, set()):
        tls.pop(key, None)
    if mode == "provided":
        tls |= {"certificate": "tls/site.crt", "key": "tls/site.crt"}
    names = site["server_names"]
    if mode == "acme" and tls.get("challenge") == "route53":
        names = [name for name in names if name.endswith(".test")]
    elif mode == "acme":
        names = [name for name in names if "*" not in name]
    site["server_names"] = names
