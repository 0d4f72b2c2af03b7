"""Check IP addresses and networks.

Roles install files of this folder in /usr/local/lib/decanter/shared, where programs on hosts import them.
Therefore these files import neither Ansible nor the collection.
"""

from __future__ import annotations

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# RFC 5737 and RFC 3849
EXAMPLE_NETWORKS = tuple(
    ipaddress.ip_network(network)
    for network in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
)


def parse_address(text: str) -> Address | None:
    """Return an IP address, or None if the text is not one."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def parse_network(text: str) -> Network | None:
    """Return a network, or None if the text is neither a network nor an address."""
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        return None


def canonical(name: str) -> str:
    """Return a name of a certificate in one spelling. IPv6 addresses have several."""
    address = parse_address(name)
    return str(address) if address else name


def is_example(found: Address | Network) -> bool:
    """Return whether an address or all of a network is reserved for documentation."""
    network = ipaddress.ip_network(found)
    return any(network[0] in example and network[-1] in example for example in EXAMPLE_NETWORKS)
