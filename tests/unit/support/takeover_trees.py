"""Trees of a hostile build."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest
from ansible_collections.decanter.stack.plugins.module_utils import takeover

GROUP, BUILDER = 4321, 54321  # ids of neither root nor the user of the tests
LIMIT = 1 << 20
LONGEST = 20  # seconds that any rejection may take on a busy machine


def take(source: Path, target: Path) -> None:
    takeover.give(source, BUILDER, BUILDER)
    takeover.Takeover(GROUP, LIMIT).take(source, target)


def rejection(source: Path, target: Path) -> str:
    """Return the message with which a tree is rejected, within bounded time."""
    begun = time.monotonic()
    with pytest.raises(takeover.TakeoverError) as error:
        takeover.Takeover(GROUP, LIMIT).take(source, target)
    lasted = time.monotonic() - begun
    assert lasted < LONGEST, f"expected a rejection within {LONGEST} s, got one after {lasted:.0f} s"
    message = str(error.value)
    assert message.isprintable() and len(message) < 400, f"expected one printable line, got {message!r}"
    return message


def rights(path: Path) -> tuple[int, int, int]:
    found = path.lstat()
    return found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)


def nest(folder: Path, depth: int) -> None:
    """Create nested folders, deeper than the longest path."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
