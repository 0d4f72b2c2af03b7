"""The environment: its hosts, its account, who comes, and a home with photos that somebody has offered."""

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
from alb_client import Balancer, Person

from tests.hosts.fixtures.lab import run_playbook

ROOT = Path(__file__).parents[3]
pytest_plugins = ["tests.hosts.fixtures.lab"]

PODMAN = ROOT / "tests/lab/roles/lab/files/podman"
PICTURES = ("quiz.png", "front.png")


class Vault(yaml.SafeLoader):
    """Reads what is encrypted as nothing."""


Vault.add_constructor("!vault", lambda loader, node: None)


class Home(NamedTuple):
    path: str
    title: str
    photos: list[str]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run test_instance_replacement last, because it loses web1 for the other tests."""
    items.sort(key=lambda item: item.path.stem == "test_instance_replacement")


@pytest.fixture(scope="session")
def made(inventory) -> dict[str, Any]:
    """What prepare.yml has made."""
    told = yaml.load((Path(inventory) / "group_vars/all/resources.yml").read_text(), Vault)
    return told["aws_made"] | told["scenario_made"]


@pytest.fixture(scope="session")
def lab(inventory) -> dict[str, Any]:
    """What the lab says of all hosts."""
    return yaml.safe_load((Path(inventory) / "hosts.yml").read_text())["all"]["vars"]


@pytest.fixture(scope="session")
def inside(lab) -> Callable[..., str]:
    """Run a command as root on a host, of the inventory or not; what it says."""

    def run(host: str, *command: str, told: str = "", checked: bool = True) -> str:
        called = [PODMAN, "exec", "--interactive", f"{lab['lab_prefix']}{host}", *command]
        done = subprocess.run(called, input=told, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0 or not checked, f"{host}: {command}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    return run


@pytest.fixture(scope="session")
def live(inside) -> Callable[[str], str]:
    """The release that a host has live."""
    return lambda host: Path(inside(host, "readlink", "/srv/harbour/current", checked=False)).name


@pytest.fixture(scope="session")
def balancer(made, lab) -> Balancer:
    subnet = lab["lab_network"].removesuffix("0/24")
    addresses = {"web1": f"{subnet}10", "web2": f"{subnet}11", "web3": f"{subnet}14"}
    return Balancer(made["targets"], made["instances"], addresses)


@pytest.fixture(scope="session")
def turns(inside, balancer) -> Callable[[float], list[str]]:
    """What has become of the hosts in the target group, since a moment."""

    def told(since: float) -> list[str]:
        lines = map(json.loads, inside("aws", "cat", "/var/log/targets.jsonl").splitlines())
        return [f"{balancer.names[line['target']]} {line['what']}" for line in lines if line["at"] > since]

    return told


@pytest.fixture(scope="session")
def somebody(balancer) -> Callable[..., Person]:
    """A visitor whom nobody has counted yet."""
    return lambda: Person(balancer, f"203.0.{secrets.randbelow(256)}.{secrets.randbelow(256)}")


@pytest.fixture(scope="session")
def moderator(inventory, inside, somebody, live) -> Person:
    """Who publishes, logged in by way of web1."""
    name, password = f"warden-{secrets.token_hex(3)}", secrets.token_urlsafe(18)
    command = f"(echo {password}; echo {password}) | flask moderators add {name}"
    told = {"site": "harbour", "release": live("web1"), "commands": [command]}
    host = testinfra.get_host(f"ansible://web1?ansible_inventory={inventory}")
    done = host.ansible("decanter.stack.release_setup", json.dumps(told), become=True, check=False)
    assert "log" in done, f"expected a moderator to be added, got {done.get('msg')}"
    one = somebody()
    answer = one.send("/admin/login", [("name", name), ("password", password)], "web1")
    assert answer.status == 303, f"expected the login to go on, got {answer.status}: {answer.text[:500]}"
    return one


@pytest.fixture(scope="session")
def home(somebody, moderator) -> Home:
    """A home that was offered through web1, with photos, and published through web2."""
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
    one = somebody()
    answer = one.send("/submit", [*fields.items(), *pictures], "web1")
    assert answer.status == 303, f"expected thanks, got {answer.status}: {answer.text[:3000]}"
    number = int(re.search(r"H-(\d+)", one.ask("/submit/thanks").text)[1])
    path = f"/admin/listings/{number}"
    decided = moderator.send(path, [("decision", "publish")], "web2")
    assert decided.status == 303, f"expected it to be published, got {decided.status}: {decided.text[:500]}"
    page = one.ask(f"/listings/{number}").text
    photos = sorted(set(re.findall(r"/photos/[0-9a-f]{32}-(?:large|small)\.jpg", page)))
    assert len(photos) >= len(PICTURES), f"expected {len(PICTURES)} photos at least, got {photos}"
    return Home(f"/listings/{number}", title, photos)


@pytest.fixture
def deploy(inventory, sites, tmp_path) -> Callable[..., subprocess.CompletedProcess]:
    """Deploy Harbour with a change that nobody notices; by an inventory that may be another."""

    def run(hosts: str = "") -> subprocess.CompletedProcess:
        source = tmp_path / secrets.token_hex(4)
        shutil.copytree(
            ROOT / "app", source, ignore=shutil.ignore_patterns(".venv", "__pycache__", ".*_cache")
        )
        (source / "wsgi.py").write_text(f"{(source / 'wsgi.py').read_text()}\n# {secrets.token_hex(8)}\n")
        changed = sites | {"harbour": sites["harbour"] | {"source": {"path": str(source)}}}
        (tmp_path / "sites.json").write_text(json.dumps({"sites": changed}))
        return run_playbook("deploy.yml", hosts or inventory, "-e", f"@{tmp_path}/sites.json")

    return run


@pytest.fixture(scope="session")
def lost(lab, inside) -> Iterator[Callable[[str], None]]:
    """Lose a host; it is back when the tests are over."""
    gone: list[str] = []

    def kill(host: str) -> None:
        gone.append(host)
        subprocess.run([PODMAN, "kill", f"{lab['lab_prefix']}{host}"], check=True, capture_output=True)

    yield kill
    for host in gone:
        subprocess.run([PODMAN, "start", f"{lab['lab_prefix']}{host}"], check=True, capture_output=True)


def succeeded(finished: subprocess.CompletedProcess) -> None:
    assert finished.returncode == 0, finished.stdout[-6000:] + finished.stderr
