"""Releases of a copy of Harbour that may be changed, and visitors who come all the time."""

from __future__ import annotations

import http.client
import itertools
import re
import secrets
import shutil
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

ROOT = Path(__file__).parents[3]
# The fixtures of every scenario's hosts.
sys.path.append(str(ROOT / "tests/hosts"))
pytest_plugins = ["lab"]

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
class Answer:
    asked: float
    answered: float
    status: int  # 0 where there was none
    release: str  # or what went wrong
    title: str = ""  # of a listing that was posted

    @property
    def good(self) -> bool:
        return self.status == (303 if self.title else 200)


@dataclass
class Visitors:
    """Keep-alive connections at a steady rate in all, a third of the requests POST."""

    address: tuple[str, int]
    ca: str
    name: str = "harbour.test"
    paths: tuple[str, ...] = ("/listings/", "/")
    posting: bool = True
    connections: int = 8
    rate: float = 120.0
    # Tells the listings of this crowd from those of others.
    mark: str = field(default_factory=lambda: f"load {secrets.token_hex(4)}")
    answers: list[Answer] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def connect(self) -> http.client.HTTPSConnection:
        context = ssl.create_default_context(cafile=self.ca)
        connection = http.client.HTTPSConnection(self.name, timeout=30, context=context)
        connection._create_connection = lambda *_: socket.create_connection(self.address, 30)
        return connection

    def form(self, connection: http.client.HTTPSConnection) -> tuple[str, dict[str, str]]:
        """The key of the form, and the cookie that belongs to it."""
        connection.request("GET", "/submit")
        response = connection.getresponse()
        body = response.read().decode()
        assert response.status == 200, f"expected the form, got {response.status}"
        cookie = response.headers["Set-Cookie"].split(";")[0]
        return re.search(r'name="csrf_token"[^>]*value="([^"]+)"', body)[1], {"Cookie": cookie}

    def visit(self, number: int) -> None:
        connection = self.connect()
        token, cookie = self.form(connection) if self.posting else ("", {})
        due = time.monotonic() + number / self.rate
        for count in itertools.count():
            time.sleep(max(0.0, due - time.monotonic()))
            # Whoever is late asks at once and does not come more often afterwards.
            due = max(due + self.connections / self.rate, time.monotonic())
            if self.over.is_set():
                return connection.close()
            title = f"{self.mark} {secrets.token_hex(8)}" if self.posting and count % 3 == 2 else ""
            asked = time.time()
            try:
                if title:
                    data = urlencode({**HOME, "title": title, "csrf_token": token})
                    form = {
                        "Content-Type": "application/x-www-form-urlencoded",
                        "Referer": f"https://{self.name}/",
                    }
                    connection.request("POST", "/submit", data, form | cookie)
                else:
                    connection.request("GET", self.paths[count % len(self.paths)])
                response = connection.getresponse()
                response.read()
                told = (response.status, response.headers.get("X-Release") or "")
                if title and "Set-Cookie" in response.headers:  # it has the last reference in it
                    cookie = {"Cookie": response.headers["Set-Cookie"].split(";")[0]}
            except (OSError, http.client.HTTPException) as error:
                told = (0, repr(error))
                connection.close()
            self.answers.append(Answer(asked, time.time(), *told, title))

    def __enter__(self) -> Visitors:
        self.threads = [
            threading.Thread(target=self.visit, args=(n,), daemon=True) for n in range(self.connections)
        ]
        for thread in self.threads:
            thread.start()
        time.sleep(1)
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join()

    @property
    def lost(self) -> list[Answer]:
        return [answer for answer in self.answers if not answer.good]


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
