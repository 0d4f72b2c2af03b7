"""Schedule tests: each host has its own worker (pytest -n 2), and two scenarios run at the same time.

A test minds its own host alone. One that looks at two of them, or measures what takes longer while others are
busy, is marked `alone`: those come last, and while one of them runs nobody else does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from machine_lock import MachineLock
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling


def is_alone(item: pytest.Item) -> bool:
    return item.get_closest_marker("alone") is not None


def pytest_configure(config: pytest.Config) -> None:
    # With workers, they run the tests and this process none.
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):
        config.pluginmanager.register(Scheduling(config.rootpath / ".lab"))


class ByHost(LoadScopeScheduling):
    """A worker has all tests of a host, in their order."""

    def _split_scope(self, nodeid: str) -> str:
        found = re.search(r"\[\w+://([^-\]]+)", nodeid)
        return found[1] if found else "no host"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByHost:
    return ByHost(config, log)


class Scheduling:
    """Take the machine lock for each test: exclusive if the test is marked `alone`, else shared."""

    def __init__(self, folder: Path) -> None:
        self.room, self.stays = MachineLock(folder), False

    # After pytest's own, which orders tests by their hosts.
    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=is_alone)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
        if not self.stays:
            self.room.enter(alone=is_alone(item))
        # Those of a module share what it has changed until the last of them is over.
        self.stays = (
            is_alone(item) and nextitem is not None and is_alone(nextitem) and item.path == nextitem.path
        )
        try:
            return (yield)
        finally:
            if not self.stays:
                self.room.leave()
