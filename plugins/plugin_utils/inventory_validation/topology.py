"""Hosts and groups: addresses, groups without a host, databases, and inventories of a cloud."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.decanter.stack.plugins.module_utils.shared.addresses import is_example, parse_address
from ansible_collections.decanter.stack.plugins.plugin_utils.inventory_validation.variables import (
    Groups,
    Hostvars,
    text_of,
)
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.placeholders import PLACEHOLDER

# File names of the inventory plugin amazon.aws.aws_ec2, and a variable that our files set for each host.
CLOUD_FILES = ("aws_ec2.yml", "aws_ec2.yaml")
CLOUD_HOST = "ec2_instance_id"


def is_placeholder(address: str) -> bool:
    """Return whether an address is one of the shipped examples."""
    if PLACEHOLDER.search(address):
        return True
    number = parse_address(address)
    return number is not None and is_example(number)


def address_errors(hostvars: Hostvars, hosts: Iterable[str]) -> Iterator[str]:
    for host in hosts:
        address = str(hostvars[host].get("ansible_host", host))
        if is_placeholder(address):
            found = f'the placeholder "{address}"'
            yield f"hosts.{host}.ansible_host: found {found}, expected the address that ssh reaches"


def group_errors(hostvars: Hostvars, groups: Groups, sites: Any) -> Iterator[str]:
    """Yield the errors of the groups `web` and `database`."""
    if not groups.get("web"):
        yield "groups.web: found no host, expected at least one to serve the sites"
    if not isinstance(sites, Mapping):
        return
    if not any("database" in site for site in sites.values() if isinstance(site, Mapping)):
        return
    if groups.get("database"):
        yield from database_errors(hostvars, groups)
    else:
        yield "groups.database: found no host, expected at least one, because a site has a database"


def database_host(hostvars: Hostvars, groups: Groups) -> str:
    """Return the host of the web hosts' databases, or an empty string if each host has its own."""
    hosts = (text_of(hostvars[name], "mysql_host") for name in groups.get("web", []))
    return next((host for host in hosts if host), "")


def database_errors(hostvars: Hostvars, groups: Groups) -> Iterator[str]:
    """Yield one line for each host that has no database for its sites, or another one than other hosts."""
    web, stores = groups.get("web", []), groups["database"]
    remote = database_host(hostvars, groups)
    for host in dict.fromkeys([*web, *stores]):
        found = text_of(hostvars[host], "mysql_host")
        if found != remote:
            shown, expected = (f'"{value}"' if value else "nothing" for value in (found, remote))
            yield f"hosts.{host}.mysql_host: found {shown}, expected {expected}, as on the web hosts"
        if remote and not text_of(hostvars[host], "mysql_ca_file"):
            expected = f"the certificate of the CA that verifies {remote}"
            yield f"hosts.{host}.mysql_ca_file: found nothing, expected {expected}"
    if remote:
        return
    for host in sorted(set(web) ^ set(stores)):
        here, there = ("web", "database") if host in web else ("database", "web")
        expected = "it, or mysql_host for a database elsewhere"
        yield f"groups.{there}: found no {host}, which is in {here}; expected {expected}"
    if len(web) > 1 and not all(text_of(hostvars[host], "web_hosts_independent") for host in web):
        expected = "one host, or mysql_host for a database that they share"
        expected += " (or web_hosts_independent: true, if the hosts share nothing)"
        yield f"groups.web: found {len(web)} hosts with a database each, expected {expected}"


def cloud_errors(hostvars: Hostvars, hosts: Iterable[str], sources: Iterable[str]) -> Iterator[str]:
    """Yield one line for each file of a cloud's inventory if no host is an instance.

    A wrong region, a wrong tag or another account results in an inventory without hosts.
    """
    if any(CLOUD_HOST in list(hostvars[host]) for host in hosts):
        return
    for source in map(Path, sources):
        files = sorted(source.iterdir()) if source.is_dir() else [source] if source.is_file() else []
        for path in files:
            if path.name.endswith(CLOUD_FILES):
                expected = "at least one. Check the regions, filters and account"
                yield f"{path}: found no instance, expected {expected}"
