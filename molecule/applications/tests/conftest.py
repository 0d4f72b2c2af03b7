"""Fixtures: git repositories that the tests change, deploys, live releases and instances."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
pytest_plugins = ["tests.hosts.fixtures.lab", "hostile_site"]


@dataclass
class Repository:
    """The git repository from which a site is deployed."""

    folder: Path

    def git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self.folder), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, path: str, change: Callable[[str], str]) -> str:
        """Change the text of a file, commit it and return the ID of the commit."""
        file = self.folder / path
        file.write_text(change(file.read_text()))
        self.git("commit", "--quiet", "--all", "--message", f"Change {path}")
        return self.git("rev-parse", "HEAD")

    def undo(self) -> None:
        self.git("reset", "--quiet", "--hard", "HEAD~1")


@pytest.fixture
def repository(variables) -> Callable[[str], Repository]:
    return lambda site: Repository(Path(variables["lab_directory"]) / "repositories" / site)


@pytest.fixture
def deploy(play, sites) -> Callable[..., Any]:
    """Return a function that deploys a site from its repository, with changed keys of its entry."""

    def deploy(site: str, **keys: Any) -> Any:
        return play("deploy.yml", sites | {site: sites[site] | keys}, "-e", f"site={site}")

    return deploy


@pytest.fixture
def live(host) -> Callable[[str], str]:
    """Return a function that reads the ID of a site's live release from the host."""

    def live(site: str) -> str:
        with host.sudo():
            return Path(host.check_output("readlink /srv/%s/current", site)).name

    return live


@pytest.fixture
def unit(host) -> Callable[[str], str]:
    """Return a function that reads the unit of a site's live instance from the host."""

    def unit(site: str) -> str:
        with host.sudo():
            colour = host.check_output("basename $(readlink /run/decanter/%s/live.sock) .sock", site)
        return f"{site}@{colour}.service"

    return unit


def wait_for(condition: Callable[[], Any], seconds: float = 20) -> Any:
    """Return the first true result of the condition, or its last result after this time."""
    deadline = time.monotonic() + seconds
    while not (result := condition()) and time.monotonic() < deadline:
        time.sleep(0.3)
    return result


def state_of(page: str, order: int) -> str:
    """Return the state of an order on a page of orders."""
    return re.search(rf'data-order="{order}">[^:]+: (\w+)', page)[1]
