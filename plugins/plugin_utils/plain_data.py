"""Convert values of Ansible to plain dictionaries, lists and scalars.

ansible-core passes tagged scalars, and containers that template or decrypt an item when it is read.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from operator import getitem
from typing import Any

from ansible.parsing.vault import EncryptedString
from jinja2 import Undefined

# Values that ansible-core could not compute, by the name of their type.
MARKERS = {
    "CapturedExceptionMarker": "a template that fails",
    "VaultExceptionMarker": "a secret that cannot be decrypted",
}
DEEPEST = 10  # No schema is deeper. The limit also ends data that contains itself.


@dataclass(frozen=True)
class Unreadable:
    """A value that is not plain. Every schema rejects it."""

    found: str


def plain_scalar(value: Any) -> Any:
    """Return a plain scalar, or Unreadable."""
    match value:
        case Undefined():  # all of ansible-core's markers are of this type
            return Unreadable(MARKERS.get(type(value).__name__, "an undefined variable"))
        case None | bool():
            return value
        case EncryptedString():
            return str(value)
        case str():
            return str.__str__(value)
        case int() if value.bit_length() > 64:  # Python does not print huge integers
            return Unreadable("a huge number")
        case int() | float():
            return int(value) if isinstance(value, int) else float(value)
    return Unreadable("a date" if isinstance(value, datetime.date) else "a value of another type")


def plain(
    read: Callable[[], Any], key: Callable[[Any, int], Any] = lambda key, _: str(key), depth: int = 0
) -> Any:
    """Return the value that `read` returns as plain data; never raise.

    `key` converts a key of a dictionary at a depth. Every item is read alone, because a template that fails
    must not hide the other items.
    """
    try:
        value = read()
        if isinstance(value, Mapping | list | tuple) and depth == DEEPEST:
            return Unreadable("data that is nested too deeply")
        if isinstance(value, Mapping):
            keys = list(value)
            return {key(k, depth): plain(partial(getitem, value, k), key, depth + 1) for k in keys}
        if isinstance(value, list | tuple):
            return [plain(partial(getitem, value, i), key, depth + 1) for i in range(len(value))]
        return plain_scalar(value)
    except Exception:  # whatever a lazy value raises
        return Unreadable("a value that cannot be read")
