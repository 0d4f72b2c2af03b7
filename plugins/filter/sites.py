"""Filters that resolve `sites` for roles: one object per site, with secrets in separate values.

A parameter `sites` is the dictionary of the inventory, and `resolved` what resolve_sites returns.
plugins/plugin_utils/sites/ computes the values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.decanter.stack.plugins.module_utils.site import SERVICES
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.schema import with_defaults
from ansible_collections.decanter.stack.plugins.plugin_utils.sites import database as databases
from ansible_collections.decanter.stack.plugins.plugin_utils.sites import sources
from ansible_collections.decanter.stack.plugins.plugin_utils.sites.environment import (
    application_secrets,
    credential_files,
)
from ansible_collections.decanter.stack.plugins.plugin_utils.sites.interpreter import missing_interpreter
from ansible_collections.decanter.stack.plugins.plugin_utils.sites.names import url_host
from ansible_collections.decanter.stack.plugins.plugin_utils.sites.resolver import Host, resolve
from ansible_collections.decanter.stack.plugins.plugin_utils.sites.resources import (
    HostSize,
    memory_needs,
)
from ansible_collections.decanter.stack.plugins.plugin_utils.sites.resources import (
    resource_limits as limits_on_host,
)

Sites = Mapping[str, Any]
Resolved = Sequence[Mapping[str, Any]]


def _present(sites: Sites) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name of each site that is not absent, and the site with its defaults."""
    for name, site in with_defaults(sites).items():
        if site["state"] == "present":
            yield name, site


def resolve_sites(sites: Sites, host: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """Return the sites that a host serves, as plugin_utils/sites/resolver.py describes them.

    `host` has the fields of its class Host.
    """
    there = Host.from_variables(host or {})
    present = dict(_present(sites))
    owners = {site["server_names"][0]: (name, site) for name, site in present.items() if "path" not in site}
    return [
        resolve(name, site, there, owners.get(site["server_names"][0]) if "path" in site else None)
        for name, site in present.items()
    ]


def absent_sites(sites: Sites) -> list[str]:
    """Return the names of sites with `state: absent`."""
    return [name for name, site in with_defaults(sites).items() if site["state"] == "absent"]


def select_sites(resolved: Resolved, only: str) -> Resolved:
    """Return all sites, or the one named `only`. Raise AnsibleFilterError if it does not exist."""
    found = [site for site in resolved if only in ("", site["name"])]
    if only and not found:
        raise AnsibleFilterError(f"SITE: found {only}, expected one of: {_names(resolved)}")
    return found


def select_site(resolved: Resolved, only: str) -> Mapping[str, Any]:
    """Return the site named `only`, or the only one. Raise AnsibleFilterError if there are several."""
    found = select_sites(resolved, only)
    if len(found) != 1:
        raise AnsibleFilterError(f"SITE: found nothing, expected one of: {_names(resolved)}")
    return found[0]


def _names(resolved: Resolved) -> str:
    return ", ".join(site["name"] for site in resolved)


def companion_units(resolved: Resolved, *kinds: str) -> list[dict[str, Any]]:
    """Return each of a site's `processes` or `timers` by the name of its unit, with its site as `of`."""
    return [
        {
            **({"command": companion} if kind == "processes" else companion),
            "name": f"{site['name']}.{name}",
            "of": site,
        }
        for site in resolved
        for kind in kinds
        for name, companion in sorted(site[kind].items())
    ]


def service_instances(resolved: Resolved) -> list[dict[str, str]]:
    """Return the instances of services that sites have, as the role `services` reads them."""
    return [
        {"service": service, "name": site["name"]}
        for service in SERVICES
        for site in resolved
        if service in site["services"]
    ]


def absent_service_instances(
    units: Sequence[str], instances: Sequence[Mapping[str, str]]
) -> list[dict[str, str]]:
    """Return the instances of services among a host's units, such as redis@myproject, that no site has."""
    pairs = [unit.split("@", 1) for unit in units]
    found = [{"service": service, "name": name} for service, name in pairs if service in SERVICES]
    return [instance for instance in found if instance not in instances]


def resource_limits(site: Mapping[str, Any], host: Mapping[str, Any]) -> dict[str, Any]:
    """Return the workers and the limits of a site's slice. `host` has the fields of HostSize."""
    return limits_on_host(site, HostSize(**{name: int(value) for name, value in host.items()}))


def site_packages(resolved: Resolved) -> list[str]:
    """Return the native packages that the sites and their services need."""
    return sorted(
        {
            package
            for site in resolved
            for package in (*site["packages"], *(SERVICES[name].package for name in site["services"]))
        }
    )


def missing_interpreters(resolved: Resolved, pins: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return for each site with a Python of its own what decides whether a host has it."""
    return [missing_interpreter(site, pins) for site in resolved if site["interpreter"]["paths"]]


def site_databases(resolved: Resolved) -> list[dict[str, str]]:
    """Return the databases of all sites, as roles/mysql reads them."""
    return [{"name": site["database"]["name"]} for site in resolved if site["database"]]


# --- The controller's part of a site, and secrets -------------------------------------------------


def site_sources(sites: Sites, root: str) -> dict[str, dict[str, str]]:
    """Return where the code of each site comes from. Relative paths start at `root`."""
    return {name: sources.source(site, root) for name, site in _present(sites)}


def with_sources(sites: Sites, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return `sites` with other sources, as a host has them that deploys itself."""
    return {name: {**site, "source": given.get(name, {"path": "."})} for name, site in sites.items()}


def site_files(sites: Sites, root: str) -> dict[str, dict[str, dict[str, str]]]:
    """Return the configuration files of each site by their paths in a release."""
    return {name: sources.files(site, root) for name, site in _present(sites)}


def build_secrets(sites: Sites) -> dict[str, dict[str, str]]:
    """Return the environment variables of each site's builds with credentials of package indexes."""
    return {name: sources.build_variables(site) for name, site in _present(sites)}


def site_credential_files(sites: Sites, database: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """Return the files with secrets of all sites, as entries of `files`. `database` is the server."""
    return [
        file
        for name, site in _present(sites)
        for file in credential_files(
            name,
            site["secret_delivery"],
            application_secrets(site, name, databases.Server(**(database or {}))),
        )
    ]


def site_passwords(sites: Sites) -> dict[str, dict[str, str]]:
    """Return the users of each site with `nginx.basic_auth`, and their passwords."""
    return {
        name: site["nginx"]["basic_auth"] for name, site in _present(sites) if "basic_auth" in site["nginx"]
    }


def database_users(sites: Sites, database: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the database accounts of all sites, as roles/mysql reads them. `database` is the server."""
    server = databases.Server(**database)
    return [user for name, site in _present(sites) for user in databases.database_users(site, name, server)]


# --- Text in templates ----------------------------------------------------------------------------


def python_literal(value: Any) -> str:
    """Return a value of YAML as Python reads it."""
    return repr(str(value) if isinstance(value, str) else value)


# The maximum length of a parameter of nginx is 4095 bytes (NGX_CONF_BUFFER in src/core/ngx_conf_file.c). A
# part has half of them, because a character may need a backslash, and variables follow the first part.
NGINX_PART_LENGTH = 2000


def nginx_strings(text: str) -> list[str]:
    """Return a text as the contents of one or more double-quoted strings of nginx."""
    parts = [text[start : start + NGINX_PART_LENGTH] for start in range(0, len(text), NGINX_PART_LENGTH)]
    return [part.replace("\\", "\\\\").replace('"', '\\"') for part in parts]


def nginx_cookie(name: str) -> str:
    """Return an expression for the name of a cookie. One that ends with * matches all with this prefix."""
    # \Q is shorter than a backslash before each character, because nginx limits the length of an expression.
    return rf"\Q{name.removesuffix('*')}\E" + (r"[\w.-]*" if name.endswith("*") else "")


def nginx_prefix(site: str) -> str:
    """Return the prefix of a site's variables in nginx, which no other site and no variable of nginx has.

    nginx has $http_path and $arg_path itself. A name after the prefix starts with _ and a letter, so the
    double underscore distinguishes the sites `a` and `a-b`.
    """
    return f"site_{site.replace('-', '__')}"


class FilterModule:
    def filters(self) -> dict[str, Any]:
        functions = (
            *(resolve_sites, absent_sites, select_sites, select_site, companion_units, missing_interpreters),
            *(service_instances, absent_service_instances, site_packages),
            *(site_sources, with_sources, site_files, build_secrets, site_credential_files, site_passwords),
            *(site_databases, database_users, python_literal, url_host),
            *(nginx_cookie, nginx_prefix, nginx_strings, resource_limits, memory_needs),
        )
        return {function.__name__: function for function in functions}
