"""The hosts of the cluster, and visitors who come to the balancer all the time."""

from __future__ import annotations

import http.client
import json
import secrets
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import testinfra
import yaml

ROOT = Path(__file__).parents[3]
# The fixtures of every scenario's hosts.
sys.path.append(str(ROOT / "tests/hosts"))
pytest_plugins = ["lab"]

PODMAN = ROOT / "roles/lab/files/podman"


@dataclass
class Answer:
    asked: float
    seconds: float
    status: int  # 0 where there was none
    host: str  # or what went wrong
    posted: str = ""


@dataclass
class Crowd:
    """Keep-alive connections to the balancer at a steady rate in all; each third request posts."""

    address: tuple[str, int]
    ca: str
    name: str = "whoami.test"
    connections: int = 8
    rate: float = 80.0
    mark: str = field(default_factory=lambda: secrets.token_hex(4))
    answers: list[Answer] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def connect(self) -> http.client.HTTPSConnection:
        context = ssl.create_default_context(cafile=self.ca)
        connection = http.client.HTTPSConnection(self.name, timeout=60, context=context)
        connection._create_connection = lambda *_: socket.create_connection(self.address, 30)
        return connection

    def visit(self, number: int) -> None:
        connection, count = self.connect(), 0
        due = time.monotonic() + number / self.rate
        while not self.over.is_set():
            time.sleep(max(0.0, due - time.monotonic()))
            # Whoever is late asks at once and does not come more often afterwards.
            due = max(due + self.connections / self.rate, time.monotonic())
            count += 1
            posted = f"{self.mark}-{number}-{count}" if count % 3 == 0 else ""
            asked, began = time.time(), time.monotonic()
            try:
                connection.request("POST" if posted else "GET", "/", body=posted or None)
                response = connection.getresponse()
                body = response.read()
                told = (
                    response.status,
                    json.loads(body)["host"] if response.status == 200 else str(body[:80]),
                )
            except (OSError, http.client.HTTPException) as error:
                told = (0, repr(error))
                connection.close()
            self.answers.append(Answer(asked, time.monotonic() - began, *told, posted))
        connection.close()

    def __enter__(self) -> Crowd:
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
        return [answer for answer in self.answers if answer.status != 200]

    def hosts(self, since: float = 0.0, until: float = float("inf")) -> set[str]:
        """Who answered what was asked in a span of time."""
        return {one.host for one in self.answers if one.status == 200 and since < one.asked < until}


@pytest.fixture
def machine(inventory) -> Callable[[str], testinfra.host.Host]:
    """A host of the cluster by its name."""
    return lambda name: testinfra.get_host(
        f"ansible://{name}?ansible_inventory={inventory}&force_ansible=True&sudo=True"
    )


@pytest.fixture
def hosts(inventory) -> dict[str, dict[str, Any]]:
    """What the inventory says of each host."""
    return yaml.safe_load((Path(inventory) / "hosts.yml").read_text())["all"]["hosts"]


@pytest.fixture
def addresses(hosts) -> dict[str, str]:
    return {name: variables["ansible_host"] for name, variables in hosts.items()}


@pytest.fixture
def crowd(visitor) -> Callable[..., Crowd]:
    return lambda **options: Crowd(visitor.place(443), visitor.ca, **options)


@pytest.fixture
def podman(hosts) -> Iterator[Callable[..., None]]:
    """Switch hosts on and off; afterwards all are on."""
    off: set[str] = set()

    def call(action: str, name: str, *options: str) -> None:
        command = [PODMAN, action, *options, hosts[name]["lab_container"]]
        subprocess.run(command, check=True, capture_output=True)
        (off.add if action == "kill" else off.discard)(name)

    yield call
    for name in list(off):
        call("start", name)


def posts(machine: Callable[[str], Any], mark: str) -> list[str]:
    """What the web hosts have kept of a crowd's posts."""
    found = []
    for name in ("web1", "web2"):
        out = machine(name).run("grep -h %s /srv/whoami/shared/posts", mark).stdout
        found += out.split()
    return found
