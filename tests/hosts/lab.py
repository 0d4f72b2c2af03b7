"""A visitor's view of a host: names resolve to it, certificates are verified by the lab's CA."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import testinfra
import urllib3.util.connection
import yaml

from tools.library import ACCELERATED, ROOT

pytest_plugins = ["scheduling"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A module that names its hosts is asked of them alone; --hosts, which Molecule gives, would win."""

    def wanted(item: pytest.Item) -> bool:
        hosts = getattr(item.module, "testinfra_hosts", None)
        if hosts is None or not hasattr(item, "callspec"):  # or it looks at no host by itself
            return True
        return item.callspec.params["_testinfra_host"].backend.get_pytest_id() in hosts

    config.hook.pytest_deselected(items=[item for item in items if not wanted(item)])
    items[:] = filter(wanted, items)


class Visitor:
    """An HTTP client for which every name is this host's, whatever DNS says."""

    def __init__(self, address: str, ports: dict[int, int], ca: str) -> None:
        self.address, self.ports, self.ca = address, ports, ca
        self.session = requests.Session()
        self.session.verify = ca
        # Or REQUESTS_CA_BUNDLE would win over the line above.
        self.session.trust_env = False

    def place(self, port: int) -> tuple[str, int]:
        """Where a port of the host is reached from this machine."""
        return self.address, self.ports[port]

    def get(self, url: str, **options: Any) -> requests.Response:
        return self.session.get(url, allow_redirects=False, timeout=20, **options)

    def post(self, url: str, data: dict[str, Any], **options: Any) -> requests.Response:
        return self.session.post(url, data, allow_redirects=False, timeout=20, **options)

    def handshake(self, name: str | None) -> ssl.SSLSocket:
        """A TLS connection that asks for a name, or for none. Raises ssl.SSLError when it is refused."""
        context = ssl.create_default_context(cafile=self.ca)
        context.check_hostname = False
        return context.wrap_socket(socket.create_connection(self.place(443), 10), server_hostname=name)


class Reader(threading.Thread):
    """Asks for a page again and again while the block runs; at each try for the first URL that answers."""

    def __init__(self, visitor: Visitor, *urls: str) -> None:
        super().__init__(daemon=True)
        self.visitor, self.urls, self.over = visitor, urls, threading.Event()
        self.handed_over = False
        self.answers: list[tuple[str, int | str]] = []

    def ask(self) -> tuple[str, int | str]:
        """The URL that answered and the status; of the last the error where none did."""
        for url in self.urls:
            try:
                return url, self.visitor.get(url).status_code
            except OSError as error:
                answer = url, repr(error)
        if len(self.urls) > 1 and not self.handed_over:
            # While nginx reloads, its old and its new workers answer for a moment: each may have been asked
            # for the name that only the other knows. Once, for it reloads once.
            self.handed_over = True
            time.sleep(0.2)
            return self.ask()
        return answer

    def run(self) -> None:
        while not self.over.is_set():
            self.answers.append(self.ask())
            # Many times within any pause, and few enough to leave the machine to the run.
            time.sleep(0.05)

    def __enter__(self) -> Reader:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.join()

    def assert_served(self) -> None:
        lost = [answer for answer in self.answers if answer[1] != 200]
        assert len(self.answers) > 20 and not lost, (
            f"expected {len(self.answers)} answers of 200, got {lost[:5]} among them"
        )


def login(variables: dict[str, Any]) -> list[str]:
    """The arguments with which ssh reaches the host."""
    return [
        *variables["ansible_ssh_common_args"].split(),
        *("-i", variables["ansible_ssh_private_key_file"], "-p", str(variables.get("ansible_port", 22))),
        f"{variables['ansible_user']}@{variables['ansible_host']}",
    ]


@pytest.fixture
def variables(host) -> dict[str, Any]:
    """The host's own variables in the inventory."""
    return host.ansible.get_variables()


@pytest.fixture
def ssh(variables) -> list[str]:
    """The command that runs another on the host, without Ansible."""
    return ["ssh", *login(variables)]


@pytest.fixture
def visitor(variables, monkeypatch) -> Iterator[Visitor]:
    one = Visitor(
        variables["ansible_host"],
        {80: variables["lab_http_port"], 443: variables["lab_https_port"]},
        f"{variables['lab_directory']}/ca.crt",
    )
    connect = urllib3.util.connection.create_connection
    monkeypatch.setattr(
        urllib3.util.connection,
        "create_connection",
        lambda address, *rest, **options: connect(one.place(address[1]), *rest, **options),
    )
    yield one
    one.session.close()


@pytest.fixture
def sites(inventory) -> dict[str, Any]:
    """The sites of the scenario, as its inventory has them."""
    return yaml.safe_load((Path(inventory) / "group_vars/all/sites.yml").read_text())["sites"]


@pytest.fixture(scope="session")
def inventory(request) -> str:
    """The scenario's."""
    return request.config.getoption("--ansible-inventory")


def run_playbook(playbook: str, inventory: str, *arguments: str) -> subprocess.CompletedProcess:
    """Run one of the project's playbooks, with Mitogen where it is installed, as `make` does."""
    command = [Path(sys.executable).with_name("ansible-playbook"), ROOT / "playbooks" / playbook]
    command += ["-i", inventory, *arguments]
    environment = os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    # Molecule has Ansible colour what it says, which tests read.
    environment |= {"ANSIBLE_FORCE_COLOR": "false", "ANSIBLE_NOCOLOR": "true"} | ACCELERATED
    return subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=ROOT, env=environment)


@pytest.fixture
def play(variables, inventory, tmp_path):
    """Run a playbook on this host alone, with other sites than its inventory's; the finished process."""

    def run(playbook: str, sites: dict[str, Any], *arguments: str) -> subprocess.CompletedProcess:
        (tmp_path / "sites.json").write_text(json.dumps({"sites": sites}))
        arguments = ("-e", f"@{tmp_path}/sites.json", "--limit", variables["inventory_hostname"], *arguments)
        return run_playbook(playbook, inventory, *arguments)

    return run


@pytest.fixture
def peer(host, variables, inventory) -> testinfra.host.Host:
    """Another host of the same scenario."""
    others = [name for name in variables["groups"]["all"] if name != variables["inventory_hostname"]]
    if not others:
        pytest.skip("the scenario has one host, so nobody can look at it from another")
    return testinfra.get_host(f"ansible://{others[0]}?ansible_inventory={inventory}")


@pytest.fixture
def sql(host):
    """Ask the database of a site as its root."""

    def ask(site: str, query: str) -> str:
        with host.sudo():
            return host.check_output("mysql --batch --skip-column-names %s --execute %s", site, query)

    return ask
