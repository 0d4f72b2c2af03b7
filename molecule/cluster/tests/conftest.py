"""The hosts of the cluster, a load generator for the balancer, and releases of whoami."""

from __future__ import annotations

import json
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import testinfra
import yaml

from tests.hosts.fixtures.lab import login, run_playbook
from tests.hosts.fixtures.load_generator import Connection, LoadGenerator

ROOT = Path(__file__).parents[3]
pytest_plugins = ["tests.hosts.fixtures.lab"]
pytest.register_assert_rewrite("whoami_site")

PODMAN = ROOT / "tests/lab/roles/lab/files/podman"
# Print the columns of HAProxy's statistics for each server of a site.
SERVERS = """
import csv, json, socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.connect("/run/decanter/balancer/admin.sock")
connection.sendall(b"show stat\\n")
output = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
rows = csv.DictReader(output.removeprefix("# ").splitlines())
rows = [row for row in rows if row["pxname"] == sys.argv[1] and row["svname"] not in ("FRONTEND", "BACKEND")]
print(json.dumps({row["svname"]: row for row in rows}))
"""
WEB = ("web1", "web2")


def wait_until(condition: Callable[[], Any], seconds: float = 20) -> float:
    """Wait for a condition. Return the seconds that it took."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds, f"expected the condition within {seconds} s"
        time.sleep(0.1)
    return time.monotonic() - start


@dataclass
class WhoamiLoad(LoadGenerator):
    """Requests for whoami at a steady rate. Its responses contain the name of the host."""

    name: str = "whoami.test"

    def send(self, connection: Connection, session: Any, count: int, posted: str) -> tuple[int, str, bool]:
        connection.request("POST" if posted else "GET", "/", body=posted or None)
        response = connection.getresponse()
        body = response.read()
        good = response.status == 200
        return response.status, json.loads(body)["host"] if good else str(body[:80]), good

    def hosts(self, since: float = 0.0, until: float = float("inf")) -> set[str]:
        """Return the hosts that answered requests sent in a span of time."""
        return {one.server for one in self.results if one.good and since < one.sent < until}


@pytest.fixture
def get_host(inventory) -> Callable[[str], testinfra.host.Host]:
    """Return a host of the inventory by its name."""
    return lambda name: testinfra.get_host(f"ansible://{name}?ansible_inventory={inventory}&sudo=True")


@pytest.fixture
def hosts(inventory) -> dict[str, dict[str, Any]]:
    """Return the inventory's variables of each host."""
    inventory_hosts = yaml.safe_load((Path(inventory) / "hosts.yml").read_text())["all"]
    return {name: inventory_hosts["vars"] | own for name, own in inventory_hosts["hosts"].items()}


@pytest.fixture
def addresses(hosts) -> dict[str, str]:
    return {name: variables["ansible_host"] for name, variables in hosts.items()}


@pytest.fixture
def generate_load(visitor) -> Callable[..., WhoamiLoad]:
    return lambda **options: WhoamiLoad(visitor.endpoint(443), visitor.ca, **options)


@pytest.fixture
def podman(hosts) -> Iterator[Callable[..., None]]:
    """Kill, start or restart hosts. After the test, start the killed hosts."""
    killed_hosts: set[str] = set()
    resolvers: dict[str, str] = {}

    def run_in_container(name: str, command: str, content: str = "") -> str:
        arguments = [PODMAN, "exec", "--interactive", hosts[name]["lab_container"], "sh", "-c", command]
        process = subprocess.run(arguments, input=content, capture_output=True, text=True, check=True)
        return process.stdout

    def call(action: str, name: str, *options: str) -> None:
        if action != "start":
            # Podman overwrites the lab's resolver when it starts a host.
            resolvers[name] = run_in_container(name, "cat /etc/resolv.conf")
        # A killed host does not close ssh's persistent connection, over which later commands would hang.
        subprocess.run(["ssh", "-O", "exit", *login(hosts[name])], capture_output=True)
        command = [PODMAN, action, *options, hosts[name]["lab_container"]]
        subprocess.run(command, check=True, capture_output=True)
        (killed_hosts.add if action == "kill" else killed_hosts.discard)(name)
        if action != "kill":
            wait_until(lambda: can_log_in(hosts[name]), 60)
            run_in_container(name, "cat > /etc/resolv.conf", resolvers[name])

    yield call
    for name in list(killed_hosts):
        call("start", name)


def can_log_in(host: dict[str, Any]) -> bool:
    """Return whether the controller reaches a host. Its hardware address may be new."""
    try:
        address = host["ansible_host"], host.get("ansible_port", 22)
        socket.create_connection(address, 3).close()
    except OSError:
        return False
    return True


def stored_posts(get_host: Callable[[str], Any], mark: str) -> list[str]:
    """Return the posts of a load generator that the web hosts have stored."""
    found = []
    for name in ("web1", "web2"):
        out = get_host(name).run("grep -h %s /srv/whoami/shared/posts", mark).stdout
        found += out.split()
    return found


@pytest.fixture
def servers(host) -> Callable[[], dict[str, dict[str, str]]]:
    """Return HAProxy's statistics of whoami for each web host."""
    return lambda: json.loads(host.check_output("sudo python3 -c %s whoami", SERVERS))


@pytest.fixture
def active_members(servers) -> Callable[[], set[str]]:
    """Return the web hosts to which the balancer sends requests for whoami."""
    return lambda: {name for name, row in servers().items() if row["status"].startswith("UP")}


# --- Releases of whoami from a copy of its source ----------------------------------------------


@pytest.fixture
def source(tmp_path) -> Path:
    """Copy the source of whoami, so that a test can change it."""
    folder = tmp_path / "whoami"
    shutil.copytree(ROOT / "molecule/cluster/whoami", folder)
    return folder


@pytest.fixture
def run(inventory, sites, source, tmp_path) -> Callable[..., subprocess.CompletedProcess]:
    """Run a playbook on all hosts, with the copy as the source of whoami."""

    def run(playbook: str, *arguments: str, **keys: Any) -> subprocess.CompletedProcess:
        whoami = sites["whoami"] | {"source": {"path": str(source)}} | keys
        (tmp_path / "sites.json").write_text(json.dumps({"sites": sites | {"whoami": whoami}}))
        return run_playbook(playbook, inventory, "-e", f"@{tmp_path}/sites.json", *arguments)

    return run


@pytest.fixture
def live(get_host) -> Callable[..., list[str]]:
    """Return the live release of each web host."""

    def live(site: str = "whoami") -> list[str]:
        return [Path(get_host(name).check_output("readlink /srv/%s/current", site)).name for name in WEB]

    return live


def add_comment(source: Path) -> None:
    """Add a random comment to the code, so that the next deploy creates a release."""
    (source / "whoami.py").write_text((source / "whoami.py").read_text() + f"\n# {secrets.token_hex(8)}\n")


def assert_succeeded(process: subprocess.CompletedProcess) -> None:
    assert process.returncode == 0, process.stdout + process.stderr


@pytest.fixture
def both_hosts_active(servers) -> Iterator[None]:
    """Wait before and after a test until both web hosts have their full share of the requests."""

    def is_complete() -> bool:
        return {(row["status"], row["throttle"]) for row in servers().values()} == {("UP", "")}

    wait_until(is_complete, 60)
    yield
    wait_until(is_complete, 60)
