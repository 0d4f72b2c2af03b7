"""Names and paths of sites: hostnames, IP addresses, wildcards, and locations of nginx."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ansible_collections.decanter.stack.plugins.module_utils.shared.addresses import parse_address

# A path that nginx accepts as an exact location and that is not the root page.
EXACT_LOCATION = re.compile(r"/[\w.~+@:,/-]+", re.ASCII)


def is_wildcard(name: str) -> bool:
    return name.startswith("*.")


def url_host(name: str) -> str:
    """Return a name as URLs and nginx write it: an IPv6 address in brackets."""
    return f"[{name}]" if parse_address(name) and ":" in name else name


def certificate_names(names: Sequence[str]) -> list[str]:
    """Return the names of a site's certificate. CAs reject a name that a wildcard covers."""
    return [name for name in names if is_wildcard(name) or f"*.{name.partition('.')[2]}" not in names]


def handshake_names(names: Sequence[str]) -> list[str]:
    """Return the names that a TLS client can send and verify: SNI has neither addresses nor wildcards."""
    return [name for name in names if not (parse_address(name) or is_wildcard(name))]
