"""Read values of a site that may have any type."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from ansible_collections.decanter.stack.plugins.module_utils.shared.addresses import Address, parse_address

# A password in a URL, or a user of HTTP, which may be a token. The user of an SSH URL is not secret.
URL_CREDENTIALS = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#@\s]*:[^/?#@]*@|https?://[^/?#@\s]+@", re.IGNORECASE)


def part(site: Any, *keys: str, kind: type = dict) -> Any:
    """Return the value under the keys if it is of that type, else an empty value of the type."""
    for key in keys:
        site = site.get(key) if isinstance(site, dict) else None
    return site if isinstance(site, kind) else kind()


def texts(value: Any, steps: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Yield the path and the text of each string below a value."""
    if isinstance(value, str):
        yield steps, value
    elif isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from texts(item, (*steps, key))


def overlap(one: str, other: str) -> bool:
    """Return whether two paths are equal, or one is below the other."""
    return PurePosixPath(one).is_relative_to(other) or PurePosixPath(other).is_relative_to(one)


def server_address(name: str) -> Address | None:
    """Return the IP address of a server name, or None. nginx and browsers reject an address with a zone."""
    return None if "%" in name else parse_address(name)
