"""Applications whose repositories may be committed to."""

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
    """One that a site is released from."""

    folder: Path

    def git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self.folder), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, path: str, change: Callable[[str], str]) -> str:
        """Commit a change of one file's text; the commit."""
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
    """Release what is in a site's repository now, some of the site's keys being others."""

    def deploy(site: str, **keys: Any) -> Any:
        return play("deploy.yml", sites | {site: sites[site] | keys}, "-e", f"site={site}")

    return deploy


@pytest.fixture
def live(host) -> Callable[[str], str]:
    """The release of a site that is live, as the host has it."""

    def live(site: str) -> str:
        with host.sudo():
            return Path(host.check_output("readlink /srv/%s/current", site)).name

    return live


@pytest.fixture
def unit(host) -> Callable[[str], str]:
    """The instance of a site that is live."""

    def unit(site: str) -> str:
        with host.sudo():
            colour = host.check_output("basename $(readlink /run/decanter/%s/live.sock) .sock", site)
        return f"{site}@{colour}.service"

    return unit


def until(found: Callable[[], Any], seconds: float = 20) -> Any:
    """What is found at last; the last that was found where it is nothing."""
    over = time.monotonic() + seconds
    while not (what := found()) and time.monotonic() < over:
        time.sleep(0.3)
    return what


def state_of(page: str, order: int) -> str:
    """What a page of orders says of one."""
    return re.search(rf'data-order="{order}">[^:]+: (\w+)', page)[1]
