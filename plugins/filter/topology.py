"""Filters for the hosts of an inventory: their addresses, and what balancers and CAs request of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.decanter.stack.plugins.module_utils.shared.addresses import parse_address
from ansible_collections.decanter.stack.plugins.plugin_utils.sites.names import is_wildcard

Resolved = Sequence[Mapping[str, Any]]


def host_address(name: str, variables: Mapping[str, Any]) -> str:
    """Return the address by which web hosts and balancers reach a host."""
    return str(variables.get("balancer_address", variables.get("ansible_host", name)))


def host_addresses(names: Sequence[str], hostvars: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return hosts as `name` and `address`."""
    return [{"name": name, "address": host_address(name, hostvars[name])} for name in names]


def challenge_peers(resolved: Resolved, names: Sequence[str], hostvars: Mapping[str, Any]) -> list[str]:
    """Return the addresses of hosts that may receive the CA's HTTP-01 request for these sites."""
    tls = [site["tls"] for site in resolved]
    if all(each["mode"] != "acme" or each.get("challenge") == "route53" for each in tls):
        return []
    return [host["address"] for host in host_addresses(names, hostvars)]


def with_address(sites: Resolved) -> list[Mapping[str, Any]]:
    """Return the sites that have an IP address among their names."""
    return [site for site in sites if any(parse_address(name) for name in site["server_names"])]


def without_addresses(names: Sequence[str]) -> list[str]:
    """Return the names that are not IP addresses."""
    return [name for name in names if not parse_address(name)]


def wildcards(sites: Resolved) -> list[dict[str, str]]:
    """Return the suffix and the site of each wildcard, such as `.example.org`, longest suffixes first."""
    found = [
        {"suffix": name.removeprefix("*").lower(), "site": site["name"]}
        for site in sites
        for name in site["server_names"]
        if is_wildcard(name)
    ]
    return sorted(found, key=lambda wildcard: (-len(wildcard["suffix"]), wildcard["suffix"]))


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {
            function.__name__: function
            for function in (host_addresses, challenge_peers, with_address, without_addresses, wildcards)
        }
