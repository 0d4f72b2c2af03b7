"""Placeholders of examples that an operator has not replaced."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ansible_collections.decanter.stack.plugins.module_utils.shared.addresses import is_example
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.messages import (
    Steps,
    error_line,
    found_words,
    schema_at,
)
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.values import server_address

# Whole words only, because `changement` is a word of French. A digit may follow: changeme1.
PLACEHOLDER = re.compile(r"(?<![^\W\d_])(change|replace)[-_]?me(?![^\W\d_])", re.IGNORECASE)
PLACEHOLDER_NAME = re.compile(r"(.*\.)?(example\.(com|org|net)|example)", re.IGNORECASE)


def placeholder_errors(value: Any, steps: Steps = ()) -> Iterator[str]:
    if isinstance(value, str) and PLACEHOLDER.search(value):
        yield placeholder_line(steps, value, "your own value")
    elif isinstance(value, dict):
        for key, item in value.items():
            if isinstance(key, str) and PLACEHOLDER.search(key):
                yield error_line((*steps, key), found="a placeholder", expected="a name of your own")
            yield from placeholder_errors(item, (*steps, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from placeholder_errors(item, (*steps, index))


def placeholder_line(steps: Steps, value: str, expected: str) -> str:
    found = found_words(value, schema_at(steps)[1])
    words = "a placeholder" if found == "a string" else f"the placeholder {found}"
    return error_line(steps, found=words, expected=expected)


def is_placeholder_name(name: str) -> bool:
    """Return whether a server name is reserved for documentation."""
    address = server_address(name)
    # Only addresses of RFC 5737, because inventories of tests use those of RFC 3849.
    documented = address and address.version == 4 and is_example(address)
    return bool(documented or PLACEHOLDER_NAME.fullmatch(name))
