"""Fixtures that release a modified copy of Harbour, and a load generator."""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.hosts.fixtures.load_generator import Connection, LoadGenerator

ROOT = Path(__file__).parents[3]
pytest_plugins = ["tests.hosts.fixtures.lab"]


# Harbour's last migration, which the migrations of the tests follow.
HEAD = max(path.name.partition("_")[0] for path in (ROOT / "app/migrations/versions").glob("*.py"))

HOME = {
    "kind": "house",
    "price": 250000,
    "bedrooms": 3,
    "bathrooms": 2,
    "area_m2": 120,
    "street": "Queen's Road 1",
    "neighbourhood": "Battery",
    "description": "A house that is only here to be counted, with a view of the harbour.",
    "contact_name": "Ada",
    "contact_email": "ada@harbour.test",
}


@dataclass
class HarbourLoad(LoadGenerator):
    """A load generator that reads pages of Harbour and offers homes. Each response names its release."""

    name: str = "harbour.test"
    rate: float = 120.0
    mark: str = field(default_factory=lambda: f"load {secrets.token_hex(4)}")
    paths: tuple[str, ...] = ("/listings/", "/")

    def prepare(self, connection: Connection) -> dict[str, str]:
        return self.form(connection) if self.posting else {}

    def form(self, connection: Connection) -> dict[str, str]:
        """Return the CSRF token of the form and its cookie."""
        connection.request("GET", "/submit")
        response = connection.getresponse()
        body = response.read().decode()
        assert response.status == 200, f"expected the form, got {response.status}"
        cookie = response.headers["Set-Cookie"].split(";")[0]
        return {"token": re.search(r'name="csrf_token"[^>]*value="([^"]+)"', body)[1], "cookie": cookie}

    def send(
        self, connection: Connection, session: dict[str, str], count: int, posted: str
    ) -> tuple[int, str, bool]:
        if posted:
            data = urlencode({**HOME, "title": posted, "csrf_token": session["token"]})
            headers = {
                "Content-Type": "application/x-www-form-urlencoded",
                "Referer": f"https://{self.name}/",
                "Cookie": session["cookie"],
            }
            connection.request("POST", "/submit", data, headers)
        else:
            connection.request("GET", self.paths[count % len(self.paths)])
        response = connection.getresponse()
        response.read()
        if posted and "Set-Cookie" in response.headers:  # the cookie contains the last reference
            session["cookie"] = response.headers["Set-Cookie"].split(";")[0]
        good = response.status == (303 if posted else 200)
        return response.status, response.headers.get("X-Release") or "", good


@pytest.fixture
def load_generator(visitor, sql) -> Iterator[Callable[..., HarbourLoad]]:
    yield lambda **options: HarbourLoad(visitor.endpoint(443), visitor.ca, **options)
    sql("harbour", "DELETE FROM listings WHERE title LIKE 'load %'")


@dataclass
class Source:
    """A copy of Harbour's source that a test changes."""

    folder: Path

    def write(self, path: str, text: str) -> None:
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(text)

    def add(self, path: str, text: str) -> None:
        self.write(path, (self.folder / path).read_text() + text)

    def touch(self) -> None:
        """Change the code without an effect for visitors."""
        self.add("harbour/templates/home.html", f"\n{{# {secrets.token_hex(8)} #}}\n")


@pytest.fixture
def source(tmp_path) -> Source:
    folder = tmp_path / "app"
    shutil.copytree(ROOT / "app", folder, ignore=shutil.ignore_patterns(".*", "__pycache__", "instance"))
    return Source(folder)


@pytest.fixture
def run(play, sites, source) -> Callable[..., Any]:
    """Run a playbook that releases Harbour from the copy."""

    def run(playbook: str = "deploy.yml", *arguments: str, **keys: Any):
        harbour = sites["harbour"] | {"source": {"path": str(source.folder)}} | keys
        return play(playbook, sites | {"harbour": harbour}, *arguments)

    return run


@pytest.fixture
def live(host) -> Callable[[], str]:
    """Return the ID of the live release on the host."""

    def live(site: str = "harbour") -> str:
        with host.sudo():
            return Path(host.check_output("readlink /srv/%s/current", site)).name

    return live


@pytest.fixture
def restore_releases(host, play, sites, live) -> Iterator[None]:
    """Deploy the releases of the scenario after the test."""
    yield
    result = play("deploy.yml", sites)
    assert result.returncode == 0, result.stdout + result.stderr


def changed_tasks(result: Any) -> int:
    """Return the number of changed tasks of a run."""
    return sum(int(number) for number in re.findall(r"changed=(\d+)", result.stdout))
