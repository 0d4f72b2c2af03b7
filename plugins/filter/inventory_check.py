"""What is wrong with an inventory beside its `sites`: hosts that are placeholders, groups without a host."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

# RFC 5737 and RFC 3849: addresses for examples.
EXAMPLE_NETWORKS = [
    ipaddress.ip_network(network)
    for network in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
]


def is_placeholder(address: str) -> bool:
    """Whether an address was left as it is shipped."""
    if any(word in address.upper() for word in ("REPLACE_ME", "CHANGEME")):
        return True
    try:
        number = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(number in network for network in EXAMPLE_NETWORKS)


def inventory_errors(
    hostvars: Mapping[str, Mapping[str, Any]], groups: Mapping[str, Sequence[str]], sites: Any
) -> list[str]:
    """One line an error, each with where it is, what was found and what was expected."""
    errors = []
    for host in groups.get("all", []):
        address = str(hostvars[host].get("ansible_host", host))
        if is_placeholder(address):
            expected = "the address that ssh reaches"
            errors.append(
                f'hosts.{host}.ansible_host: found the placeholder "{address}", expected {expected}'
            )
    if not groups.get("web"):
        errors.append("groups.web: found no host, expected one at least to serve the sites")
    stored = isinstance(sites, Mapping) and any(
        "database" in site for site in sites.values() if isinstance(site, Mapping)
    )
    if stored and not groups.get("database"):
        errors.append("groups.database: found no host, expected one at least, for a site has a database")
    return errors


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"inventory_errors": inventory_errors}
