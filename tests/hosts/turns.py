"""Hosts are asked side by side, each by a worker of its own: pytest -n 2.

A test minds its own host alone. One that looks at two of them, or measures what takes longer while another
worker is busy, is marked `alone`: those come last, and while one of them runs nobody else does.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from fcntl import LOCK_EX, LOCK_SH, LOCK_UN, flock
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling


def is_alone(item: pytest.Item) -> bool:
    return item.get_closest_marker("alone") is not None


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        config.pluginmanager.register(Turns(Path(config.getoption("--ansible-inventory"))))


class ByHost(LoadScopeScheduling):
    """A worker has all tests of a host, in their order."""

    def _split_scope(self, nodeid: str) -> str:
        found = re.search(r"\[\w+://([^-\]]+)", nodeid)
        return found[1] if found else "no host"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByHost:
    return ByHost(config, log)


class Turns:
    """Locks between workers, on files that they all know: many are in the room at once, or one alone."""

    def __init__(self, inventory: Path) -> None:
        # Whoever waits for the room to be empty keeps the door shut, or those behind would never let it be.
        self.door = os.open(inventory, os.O_RDONLY)
        self.room = os.open(inventory / "hosts.yml", os.O_RDONLY)
        self.stays = False

    # After pytest's own, which orders tests by their hosts.
    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=is_alone)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
        if not self.stays:
            flock(self.door, LOCK_EX)
            flock(self.room, LOCK_EX if is_alone(item) else LOCK_SH)
            flock(self.door, LOCK_UN)
        # Those of a module share what it has changed until the last of them is over.
        self.stays = (
            is_alone(item) and nextitem is not None and is_alone(nextitem) and item.path == nextitem.path
        )
        try:
            return (yield)
        finally:
            if not self.stays:
                flock(self.room, LOCK_UN)
