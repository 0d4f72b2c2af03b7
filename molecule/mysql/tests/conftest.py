"""Fixtures of the scenario: its hosts and passwords, and its playbook with other settings."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import testinfra
import testinfra.host

from tests.hosts.fixtures.lab import run_playbook

ROOT = Path(__file__).parents[3]
pytest_plugins = ["tests.hosts.fixtures.lab"]


@pytest.fixture
def scenario_host(inventory):
    """Return a function that connects to a host of the scenario by its name."""

    def find(name: str) -> testinfra.host.Host:
        return testinfra.get_host(f"ansible://{name}?ansible_inventory={inventory}")

    return find


@pytest.fixture
def password(variables):
    """Return a function that reads a user's generated password."""
    return lambda user: (Path(variables["lab_directory"]) / "secrets" / user).read_text().strip()


@pytest.fixture
def converge(variables, inventory):
    """Return a function that runs converge.yml on this host with other settings."""

    def run(**settings: Any) -> subprocess.CompletedProcess:
        arguments = ("--limit", variables["inventory_hostname"], "-e", json.dumps(settings))
        return run_playbook(str(ROOT / "molecule/mysql/converge.yml"), inventory, *arguments)

    return run
