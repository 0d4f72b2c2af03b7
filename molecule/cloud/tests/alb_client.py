"""Clients of an ALB: each request goes to the next healthy host of the target group."""

from __future__ import annotations

import http.client
import itertools
import re
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import boto3
from urllib3.filepost import encode_multipart_formdata

from tests.hosts.fixtures.load_generator import LoadGenerator

NAME = "harbour.test"
# As an ALB does, nobody looks at a host's certificate, and no name is asked for in the handshake.
CONTEXT = ssl.create_default_context()
CONTEXT.check_hostname, CONTEXT.verify_mode = False, ssl.CERT_NONE


class Balancer:
    """What an ALB knows: the healthy hosts of a target group."""

    def __init__(self, group: str, instances: dict[str, str], addresses: dict[str, str]) -> None:
        self.group, self.addresses = group, addresses
        self.names = {identifier: name for name, identifier in instances.items()}
        self.elb, self.turn = boto3.client("elbv2"), itertools.count()
        self.healthy: list[str] = []

    def look(self) -> list[str]:
        told = self.elb.describe_target_health(TargetGroupArn=self.group)["TargetHealthDescriptions"]
        fit = [one["Target"]["Id"] for one in told if one["TargetHealth"]["State"] == "healthy"]
        self.healthy = sorted(self.names[identifier] for identifier in fit)
        return self.healthy

    def next(self) -> str:
        healthy = self.healthy or self.look()
        assert healthy, "expected a healthy host in the target group, got none"
        return healthy[next(self.turn) % len(healthy)]

    def connect(self, host: str, timeout: float = 20) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self.addresses[host], timeout=timeout, context=CONTEXT)

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Look all the time: an ALB knows at once what it is told."""
        over = threading.Event()

        def follow() -> None:
            while not over.wait(0.2):
                self.look()

        thread = threading.Thread(target=follow, daemon=True)
        self.look()
        thread.start()
        yield
        over.set()
        thread.join()


class Answer(NamedTuple):
    status: int
    text: str
    content: bytes
    fields: http.client.HTTPMessage
    by: str  # the host


@dataclass
class Person:
    """Somebody with a browser, which keeps cookies; an address of theirs is what limits count."""

    balancer: Balancer
    address: str
    cookies: dict[str, str] = field(default_factory=dict)

    def ask(self, path: str, fields: list[tuple[str, Any]] | None = None, host: str = "") -> Answer:
        """Ask for a page, or send a form; of one host, or of whom it falls to."""
        host = host or self.balancer.next()
        told = {"Host": NAME, "X-Forwarded-For": self.address, "X-Forwarded-Proto": "https"}
        told["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        told["Referer"] = f"https://{NAME}{path}"
        body = None
        if fields is not None:
            body, told["Content-Type"] = encode_multipart_formdata(fields)
        connection = self.balancer.connect(host)
        try:
            connection.request("POST" if body else "GET", path, body, told)
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        for cookie in response.headers.get_all("Set-Cookie", []):
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        return Answer(response.status, content.decode(errors="replace"), content, response.headers, host)

    def key(self, path: str, host: str = "") -> str:
        """That of a page's form."""
        page = self.ask(path, host=host)
        found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.text)
        assert found, f"expected a form at {path} of {page.by}, got {page.status}: {page.text[:300]}"
        return found[1]

    def send(self, path: str, fields: list[tuple[str, Any]], host: str = "") -> Answer:
        """Fill in a page's form, which one host may show and another get."""
        return self.ask(path, [("csrf_token", self.key(path)), *fields], host)


class Routes:
    """A visitor's connections, one to each host."""

    def __init__(self, balancer: Balancer) -> None:
        self.balancer, self.open = balancer, {}

    def ask(self, path: str, address: str) -> tuple[int, str, bool]:
        host = self.balancer.next()
        if host not in self.open:
            self.open[host] = self.balancer.connect(host, timeout=5)
        connection = self.open[host]
        try:
            connection.request("GET", path, headers={"Host": NAME, "X-Forwarded-For": address})
            response = connection.getresponse()
            good = bool(response.read()) and response.status == 200
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return 0, f"{host}: {error!r}", False
        return response.status, host, good

    def close(self) -> None:
        for connection in self.open.values():
            connection.close()


@dataclass
class Visits(LoadGenerator):
    """People who look around, all the time."""

    address: tuple[str, int] = ("", 0)
    ca: str = ""
    name: str = NAME
    connections: int = 4
    rate: float = 20.0
    posting: bool = False
    balancer: Balancer | None = None
    paths: tuple[str, ...] = ("/",)

    def connect(self) -> Routes:
        return Routes(self.balancer)

    def ask(self, connection: Routes, known: Any, count: int, posted: str) -> tuple[int, str, bool]:
        return connection.ask(self.paths[count % len(self.paths)], "198.18.0.7")

    def first(self, host: str) -> float | None:
        """When a host has answered for the first time."""
        return min((one.answered for one in self.answers if one.good and one.by == host), default=None)


def until(condition: Any, seconds: float) -> float:
    """How long it took until something was so."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"expected it within {seconds} s"
        time.sleep(0.2)
    return time.monotonic() - began
