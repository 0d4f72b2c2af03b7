"""Hosts, AWS resources, clients and a listing with photos."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import testinfra
import yaml
from alb_client import Balancer, Client

from tests.hosts.fixtures.lab import run_playbook

ROOT = Path(__file__).parents[3]
pytest_plugins = ["tests.hosts.fixtures.lab"]

PODMAN = ROOT / "tests/lab/roles/lab/files/podman"
PICTURES = ("quiz.png", "front.png")


class VaultLoader(yaml.SafeLoader):
    """A loader that reads encrypted values as None."""


VaultLoader.add_constructor("!vault", lambda loader, node: None)


class Listing(NamedTuple):
    path: str
    title: str
    photos: list[str]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run test_instance_replacement last, because it kills web1."""
    items.sort(key=lambda item: item.path.stem == "test_instance_replacement")


@pytest.fixture(scope="session")
def resources(inventory) -> dict[str, Any]:
    """Return the resources that prepare.yml created."""
    variables = yaml.load((Path(inventory) / "group_vars/all/resources.yml").read_text(), VaultLoader)
    return variables["aws_made"] | variables["scenario_made"]


@pytest.fixture(scope="session")
def lab(inventory) -> dict[str, Any]:
    """Return the lab's variables of all hosts."""
    return yaml.safe_load((Path(inventory) / "hosts.yml").read_text())["all"]["vars"]


@pytest.fixture(scope="session")
def run_on(lab) -> Callable[..., str]:
    """Run a command as root on any host of the lab. Return its output."""

    def run(host: str, *command: str, stdin: str = "", check: bool = True) -> str:
        arguments = [PODMAN, "exec", "--interactive", f"{lab['lab_prefix']}{host}", *command]
        process = subprocess.run(arguments, input=stdin, capture_output=True, text=True, timeout=120)
        assert process.returncode == 0 or not check, f"{host}: {command}: {process.stdout}{process.stderr}"
        return process.stdout.strip()

    return run


@pytest.fixture(scope="session")
def live(run_on) -> Callable[[str], str]:
    """Return the live release of a host."""
    return lambda host: Path(run_on(host, "readlink", "/srv/harbour/current", check=False)).name


@pytest.fixture(scope="session")
def balancer(resources, lab) -> Balancer:
    subnet = lab["lab_network"].removesuffix("0/24")
    addresses = {"web1": f"{subnet}10", "web2": f"{subnet}11", "web3": f"{subnet}14"}
    return Balancer(resources["targets"], resources["instances"], addresses)


@pytest.fixture(scope="session")
def target_events(run_on, balancer) -> Callable[[float], list[str]]:
    """Return the events of the target group since a time."""

    def events(since: float) -> list[str]:
        lines = map(json.loads, run_on("aws", "cat", "/var/log/targets.jsonl").splitlines())
        return [f"{balancer.names[line['target']]} {line['event']}" for line in lines if line["at"] > since]

    return events


@pytest.fixture(scope="session")
def new_client(balancer) -> Callable[..., Client]:
    """Create a client with a new address, which no limit has counted."""
    return lambda: Client(balancer, f"203.0.{secrets.randbelow(256)}.{secrets.randbelow(256)}")


@pytest.fixture(scope="session")
def moderator(inventory, run_on, new_client, live) -> Client:
    """A client that is logged in as a moderator, through web1."""
    name, password = f"warden-{secrets.token_hex(3)}", secrets.token_urlsafe(18)
    command = f"(echo {password}; echo {password}) | flask moderators add {name}"
    options = {"site": "harbour", "release": live("web1"), "commands": [command]}
    host = testinfra.get_host(f"ansible://web1?ansible_inventory={inventory}")
    result = host.ansible("decanter.stack.release_setup", json.dumps(options), become=True, check=False)
    assert "log" in result, f"expected a new moderator, got {result.get('msg')}"
    client = new_client()
    response = client.submit("/admin/login", [("name", name), ("password", password)], "web1")
    assert response.status == 303, (
        f"expected a redirect after login, got {response.status}: {response.text[:500]}"
    )
    return client


@pytest.fixture(scope="session")
def listing(new_client, moderator) -> Listing:
    """A listing with photos, submitted through web1 and published through web2."""
    title = f"Lighthouse {secrets.token_hex(6)}"
    fields = {
        **{"title": title, "kind": "house", "price": "425000", "bedrooms": "3", "bathrooms": "2"},
        **{"area_m2": "140", "street": "7 Ropewalk", "neighbourhood": "Old Quay"},
        "description": "Every window looks at the water, and the one on the stairs looks at the lighthouse.",
        **{"contact_name": "Ada Byron", "contact_email": "ada@example.com"},
    }
    pictures = [
        ("photos", (name, (ROOT / "docs/pictures" / name).read_bytes(), "image/png")) for name in PICTURES
    ]
    client = new_client()
    response = client.submit("/submit", [*fields.items(), *pictures], "web1")
    assert response.status == 303, (
        f"expected a redirect to /submit/thanks, got {response.status}: {response.text[:3000]}"
    )
    number = int(re.search(r"H-(\d+)", client.request("/submit/thanks").text)[1])
    path = f"/admin/listings/{number}"
    response = moderator.submit(path, [("decision", "publish")], "web2")
    assert response.status == 303, (
        f"expected a redirect after publication, got {response.status}: {response.text[:500]}"
    )
    page = client.request(f"/listings/{number}").text
    photos = sorted(set(re.findall(r"/photos/[0-9a-f]{32}-(?:large|small)\.jpg", page)))
    assert len(photos) >= len(PICTURES), f"expected at least {len(PICTURES)} photos, got {photos}"
    return Listing(f"/listings/{number}", title, photos)


@pytest.fixture
def deploy(inventory, sites, tmp_path) -> Callable[..., subprocess.CompletedProcess]:
    """Deploy Harbour with a new comment in its code, with this or another inventory."""

    def run(other_inventory: str = "") -> subprocess.CompletedProcess:
        source = tmp_path / secrets.token_hex(4)
        shutil.copytree(
            ROOT / "app", source, ignore=shutil.ignore_patterns(".venv", "__pycache__", ".*_cache")
        )
        (source / "wsgi.py").write_text(f"{(source / 'wsgi.py').read_text()}\n# {secrets.token_hex(8)}\n")
        changed = sites | {"harbour": sites["harbour"] | {"source": {"path": str(source)}}}
        (tmp_path / "sites.json").write_text(json.dumps({"sites": changed}))
        return run_playbook("deploy.yml", other_inventory or inventory, "-e", f"@{tmp_path}/sites.json")

    return run


@pytest.fixture(scope="session")
def kill_host(lab, run_on) -> Iterator[Callable[[str], None]]:
    """Kill a host. After the tests, start it again."""
    hosts: list[str] = []

    def kill(host: str) -> None:
        hosts.append(host)
        subprocess.run([PODMAN, "kill", f"{lab['lab_prefix']}{host}"], check=True, capture_output=True)

    yield kill
    for host in hosts:
        subprocess.run([PODMAN, "start", f"{lab['lab_prefix']}{host}"], check=True, capture_output=True)


def assert_succeeded(process: subprocess.CompletedProcess) -> None:
    assert process.returncode == 0, process.stdout[-6000:] + process.stderr
