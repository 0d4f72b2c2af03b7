"""What tests of this scenario share: its playbook, run again with other settings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import testinfra
import testinfra.host

ROOT = Path(__file__).parents[3]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A module that names its hosts is asked of them alone; --hosts, which Molecule gives, would win."""

    def wanted(item: pytest.Item) -> bool:
        hosts = getattr(item.module, "testinfra_hosts", None)
        return hosts is None or item.callspec.params["_testinfra_host"].backend.get_pytest_id() in hosts

    config.hook.pytest_deselected(items=[item for item in items if not wanted(item)])
    items[:] = filter(wanted, items)


@pytest.fixture
def inventory(request) -> str:
    return request.config.getoption("--ansible-inventory")


@pytest.fixture
def variables(host) -> dict[str, Any]:
    """The host's own variables in the inventory, as they are written there."""
    return host.ansible.get_variables()


@pytest.fixture
def other(inventory):
    """Another host of the scenario, by its name."""

    def find(name: str) -> testinfra.host.Host:
        return testinfra.get_host(f"ansible://{name}?ansible_inventory={inventory}")

    return find


@pytest.fixture
def password(variables):
    """The password that the scenario has made for a user."""
    return lambda user: (Path(variables["lab_directory"]) / "secrets" / user).read_text().strip()


@pytest.fixture
def converge(variables, inventory):
    """Run the scenario's playbook on this host alone, with other settings; the finished process."""

    def run(**settings: Any) -> subprocess.CompletedProcess:
        command = [Path(sys.executable).with_name("ansible-playbook"), "-i", inventory]
        command += ["--limit", variables["inventory_hostname"], "-e", json.dumps(settings)]
        command.append(ROOT / "molecule/mysql/converge.yml")
        environment = os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
        return subprocess.run(command, capture_output=True, text=True, timeout=200, cwd=ROOT, env=environment)

    return run
