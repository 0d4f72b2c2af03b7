"""Releases of a copy of Harbour that may be changed, and visitors who come all the time."""

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


# Harbour's last migration, which those of the tests follow.
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
class Visitors(LoadGenerator):
    """Visitors of Harbour who read, and offer homes; each answer names its release."""

    name: str = "harbour.test"
    rate: float = 120.0
    mark: str = field(default_factory=lambda: f"load {secrets.token_hex(4)}")
    paths: tuple[str, ...] = ("/listings/", "/")

    def begin(self, connection: Connection) -> dict[str, str]:
        return self.form(connection) if self.posting else {}

    def form(self, connection: Connection) -> dict[str, str]:
        """The key of the form, and the cookie that belongs to it."""
        connection.request("GET", "/submit")
        response = connection.getresponse()
        body = response.read().decode()
        assert response.status == 200, f"expected the form, got {response.status}"
        cookie = response.headers["Set-Cookie"].split(";")[0]
        return {"token": re.search(r'name="csrf_token"[^>]*value="([^"]+)"', body)[1], "cookie": cookie}

    def ask(
        self, connection: Connection, known: dict[str, str], count: int, posted: str
    ) -> tuple[int, str, bool]:
        if posted:
            data = urlencode({**HOME, "title": posted, "csrf_token": known["token"]})
            headers = {
                "Content-Type": "application/x-www-form-urlencoded",
                "Referer": f"https://{self.name}/",
                "Cookie": known["cookie"],
            }
            connection.request("POST", "/submit", data, headers)
        else:
            connection.request("GET", self.paths[count % len(self.paths)])
        response = connection.getresponse()
        response.read()
        if posted and "Set-Cookie" in response.headers:  # it has the last reference in it
            known["cookie"] = response.headers["Set-Cookie"].split(";")[0]
        good = response.status == (303 if posted else 200)
        return response.status, response.headers.get("X-Release") or "", good


@pytest.fixture
def visitors(visitor, sql) -> Iterator[Callable[..., Visitors]]:
    yield lambda **options: Visitors(visitor.place(443), visitor.ca, **options)
    sql("harbour", "DELETE FROM listings WHERE title LIKE 'load %'")


@dataclass
class Source:
    """Harbour's source, and changes to it."""

    folder: Path

    def write(self, path: str, text: str) -> None:
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(text)

    def add(self, path: str, text: str) -> None:
        self.write(path, (self.folder / path).read_text() + text)

    def touch(self) -> None:
        """A change of code that changes nothing for a visitor."""
        self.add("harbour/templates/home.html", f"\n{{# {secrets.token_hex(8)} #}}\n")


@pytest.fixture
def source(tmp_path) -> Source:
    folder = tmp_path / "app"
    shutil.copytree(ROOT / "app", folder, ignore=shutil.ignore_patterns(".*", "__pycache__", "instance"))
    return Source(folder)


@pytest.fixture
def run(play, sites, source) -> Callable[..., Any]:
    """Run a playbook, Harbour being released from the copy."""

    def run(playbook: str = "deploy.yml", *arguments: str, **keys: Any):
        harbour = sites["harbour"] | {"source": {"path": str(source.folder)}} | keys
        return play(playbook, sites | {"harbour": harbour}, *arguments)

    return run


@pytest.fixture
def live(host) -> Callable[[], str]:
    """The release that is live, as the host has it."""

    def live(site: str = "harbour") -> str:
        with host.sudo():
            return Path(host.check_output("readlink /srv/%s/current", site)).name

    return live


@pytest.fixture
def back(host, play, sites, live) -> Iterator[None]:
    """The scenario's own releases are live again afterwards, in the schema that they know."""
    yield
    finished = play("deploy.yml", sites)
    assert finished.returncode == 0, finished.stdout + finished.stderr


def changed(finished: Any) -> int:
    """How many tasks of a finished run changed something."""
    return sum(int(number) for number in re.findall(r"changed=(\d+)", finished.stdout))
