"""Characters that programs on hosts reject in any text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.messages import error_line
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.values import texts

# systemd ignores a line with one of them (unichar_is_valid in src/basic/utf8.c). Unicode, section 23.7.
LAST_OF_PLANES = "".join(chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
NONCHARACTER = re.compile(f"[\ufdd0-\ufdef{LAST_OF_PLANES}]")


def character_errors(sites: dict[Any, Any]) -> Iterator[str]:
    for steps, text in texts(sites):
        if match := NONCHARACTER.search(text):
            found = f"the character U+{ord(match[0]):04X}"
            yield error_line(steps, found=found, expected="a text without Unicode noncharacters")
