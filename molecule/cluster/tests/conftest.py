"""The hosts of the cluster, and visitors who come to the balancer all the time."""

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

from tests.hosts.fixtures.lab import login
from tests.hosts.fixtures.lab import run_playbook as play
from tests.hosts.fixtures.load_generator import Connection, LoadGenerator

ROOT = Path(__file__).parents[3]
pytest_plugins = ["tests.hosts.fixtures.lab"]
pytest.register_assert_rewrite("whoami_site")

PODMAN = ROOT / "tests/lab/roles/lab/files/podman"
RUN = "/run/decanter/balancer"
WEB = ("web1", "web2")


def until(condition: Callable[[], Any], seconds: float = 20) -> float:
    """How long it took until something was so."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"expected it within {seconds} s"
        time.sleep(0.1)
    return time.monotonic() - began


@dataclass
class Visits(LoadGenerator):
    """Visitors of whoami, which says who answers."""

    name: str = "whoami.test"

    def ask(self, connection: Connection, known: Any, count: int, posted: str) -> tuple[int, str, bool]:
        connection.request("POST" if posted else "GET", "/", body=posted or None)
        response = connection.getresponse()
        body = response.read()
        good = response.status == 200
        return response.status, json.loads(body)["host"] if good else str(body[:80]), good

    def hosts(self, since: float = 0.0, until: float = float("inf")) -> set[str]:
        """Who answered what was asked in a span of time."""
        return {one.by for one in self.answers if one.good and since < one.asked < until}


@pytest.fixture
def machine(inventory) -> Callable[[str], testinfra.host.Host]:
    """A host of the cluster by its name."""
    return lambda name: testinfra.get_host(f"ansible://{name}?ansible_inventory={inventory}&sudo=True")


@pytest.fixture
def hosts(inventory) -> dict[str, dict[str, Any]]:
    """What the inventory says of each host."""
    known = yaml.safe_load((Path(inventory) / "hosts.yml").read_text())["all"]
    return {name: known["vars"] | own for name, own in known["hosts"].items()}


@pytest.fixture
def addresses(hosts) -> dict[str, str]:
    return {name: variables["ansible_host"] for name, variables in hosts.items()}


@pytest.fixture
def crowd(visitor) -> Callable[..., Visits]:
    return lambda **options: Visits(visitor.place(443), visitor.ca, **options)


@pytest.fixture
def podman(hosts) -> Iterator[Callable[..., None]]:
    """Switch hosts on and off; afterwards all are on."""
    off: set[str] = set()
    asked: dict[str, str] = {}

    def resolver(name: str, command: str, content: str = "") -> str:
        """Podman writes its own when it starts a host, and the authority is known to the lab's."""
        inside = [PODMAN, "exec", "--interactive", hosts[name]["lab_container"], "sh", "-c", command]
        done = subprocess.run(inside, input=content, capture_output=True, text=True, check=True)
        return done.stdout

    def call(action: str, name: str, *options: str) -> None:
        if action != "start":
            asked[name] = resolver(name, "cat /etc/resolv.conf")
        # It ends without a word: over a connection that is kept open nobody would be answered.
        subprocess.run(["ssh", "-O", "exit", *login(hosts[name])], capture_output=True)
        command = [PODMAN, action, *options, hosts[name]["lab_container"]]
        subprocess.run(command, check=True, capture_output=True)
        (off.add if action == "kill" else off.discard)(name)
        if action != "kill":
            until(lambda: can_log_in(hosts[name]), 60)
            resolver(name, "cat > /etc/resolv.conf", asked[name])

    yield call
    for name in list(off):
        call("start", name)


def can_log_in(host: dict[str, Any]) -> bool:
    """Whether this machine reaches a host, which may have come back with another hardware address."""
    try:
        place = host["ansible_host"], host.get("ansible_port", 22)
        socket.create_connection(place, 3).close()
    except OSError:
        return False
    return True


def posts(machine: Callable[[str], Any], mark: str) -> list[str]:
    """What the web hosts have kept of a crowd's posts."""
    found = []
    for name in ("web1", "web2"):
        out = machine(name).run("grep -h %s /srv/whoami/shared/posts", mark).stdout
        found += out.split()
    return found


@pytest.fixture
def inside(host) -> Callable[[], set[str]]:
    """The web hosts that visitors are sent to."""
    return lambda: set(host.check_output(f"sudo ls {RUN}/whoami").replace(".sock", "").split())


# --- Releases of whoami from a copy that may be changed ---------------------------------------


@pytest.fixture
def source(tmp_path) -> Path:
    """A copy of whoami that may be changed."""
    folder = tmp_path / "whoami"
    shutil.copytree(ROOT / "molecule/cluster/whoami", folder)
    return folder


@pytest.fixture
def run(inventory, sites, source, tmp_path) -> Callable[..., subprocess.CompletedProcess]:
    """Run a playbook on all hosts, whoami being released from the copy."""

    def run(playbook: str, *arguments: str, **keys: Any) -> subprocess.CompletedProcess:
        whoami = sites["whoami"] | {"source": {"path": str(source)}} | keys
        (tmp_path / "sites.json").write_text(json.dumps({"sites": sites | {"whoami": whoami}}))
        return play(playbook, inventory, "-e", f"@{tmp_path}/sites.json", *arguments)

    return run


@pytest.fixture
def live(machine) -> Callable[..., list[str]]:
    """The release that each web host has live."""

    def live(site: str = "whoami") -> list[str]:
        return [Path(machine(name).check_output("readlink /srv/%s/current", site)).name for name in WEB]

    return live


def touch(source: Path) -> None:
    """A change of code that changes nothing for a visitor."""
    (source / "whoami.py").write_text((source / "whoami.py").read_text() + f"\n# {secrets.token_hex(8)}\n")


def succeeded(finished: subprocess.CompletedProcess) -> None:
    assert finished.returncode == 0, finished.stdout + finished.stderr


@pytest.fixture
def whole(inside) -> Iterator[None]:
    """Both web hosts are in before a test, and after it."""
    until(lambda: inside() == {"web1", "web2"}, 60)
    yield
    until(lambda: inside() == {"web1", "web2"}, 60)
