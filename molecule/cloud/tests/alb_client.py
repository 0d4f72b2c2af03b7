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
# An ALB does not verify the certificates of its targets, and sends no server name (SNI).
CONTEXT = ssl.create_default_context()
CONTEXT.check_hostname, CONTEXT.verify_mode = False, ssl.CERT_NONE


class Balancer:
    """The healthy hosts of a target group, in turn, as an ALB uses them."""

    def __init__(self, group: str, instances: dict[str, str], addresses: dict[str, str]) -> None:
        self.group, self.addresses = group, addresses
        self.names = {identifier: name for name, identifier in instances.items()}
        self.elb, self.counter = boto3.client("elbv2"), itertools.count()
        self.healthy: list[str] = []

    def refresh(self) -> list[str]:
        targets = self.elb.describe_target_health(TargetGroupArn=self.group)["TargetHealthDescriptions"]
        healthy = [one["Target"]["Id"] for one in targets if one["TargetHealth"]["State"] == "healthy"]
        self.healthy = sorted(self.names[identifier] for identifier in healthy)
        return self.healthy

    def next_host(self) -> str:
        healthy = self.healthy or self.refresh()
        assert healthy, "expected a healthy host in the target group, got none"
        return healthy[next(self.counter) % len(healthy)]

    def connect(self, host: str, timeout: float = 20) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self.addresses[host], timeout=timeout, context=CONTEXT)

    @contextmanager
    def polling(self) -> Iterator[None]:
        """Refresh the healthy hosts all the time, because an ALB applies changes at once."""
        stop = threading.Event()

        def poll() -> None:
            while not stop.wait(0.2):
                self.refresh()

        thread = threading.Thread(target=poll, daemon=True)
        self.refresh()
        thread.start()
        yield
        stop.set()
        thread.join()


class Response(NamedTuple):
    status: int
    text: str
    content: bytes
    headers: http.client.HTTPMessage
    host: str


@dataclass
class Client:
    """A client with cookies, and an address to which limits apply."""

    balancer: Balancer
    address: str
    cookies: dict[str, str] = field(default_factory=dict)

    def request(self, path: str, fields: list[tuple[str, Any]] | None = None, host: str = "") -> Response:
        """Request a page, or post a form, from a host or else from the next one."""
        host = host or self.balancer.next_host()
        headers = {"Host": NAME, "X-Forwarded-For": self.address, "X-Forwarded-Proto": "https"}
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers["Referer"] = f"https://{NAME}{path}"
        body = None
        if fields is not None:
            body, headers["Content-Type"] = encode_multipart_formdata(fields)
        connection = self.balancer.connect(host)
        try:
            connection.request("POST" if body else "GET", path, body, headers)
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        for cookie in response.headers.get_all("Set-Cookie", []):
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        return Response(response.status, content.decode(errors="replace"), content, response.headers, host)

    def csrf_token(self, path: str, host: str = "") -> str:
        """Return the CSRF token of a page's form."""
        page = self.request(path, host=host)
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.text)
        assert token, f"expected a form at {path} of {page.host}, got {page.status}: {page.text[:300]}"
        return token[1]

    def submit(self, path: str, fields: list[tuple[str, Any]], host: str = "") -> Response:
        """Get a form from the next host, and post it to a host or else to the one after it."""
        return self.request(path, [("csrf_token", self.csrf_token(path)), *fields], host)


class Connections:
    """The connections of one client, one to each host."""

    def __init__(self, balancer: Balancer) -> None:
        self.balancer, self.connections = balancer, {}

    def request(self, path: str, address: str) -> tuple[int, str, bool]:
        host = self.balancer.next_host()
        if host not in self.connections:
            self.connections[host] = self.balancer.connect(host, timeout=5)
        connection = self.connections[host]
        try:
            connection.request("GET", path, headers={"Host": NAME, "X-Forwarded-For": address})
            response = connection.getresponse()
            good = bool(response.read()) and response.status == 200
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return 0, f"{host}: {error!r}", False
        return response.status, host, good

    def close(self) -> None:
        for connection in self.connections.values():
            connection.close()


@dataclass
class HarbourLoad(LoadGenerator):
    """Requests for pages of Harbour at a steady rate."""

    address: tuple[str, int] = ("", 0)
    ca: str = ""
    name: str = NAME
    connections: int = 4
    rate: float = 20.0
    posting: bool = False
    balancer: Balancer | None = None
    paths: tuple[str, ...] = ("/",)

    def connect(self) -> Connections:
        return Connections(self.balancer)

    def send(self, connection: Connections, session: Any, count: int, posted: str) -> tuple[int, str, bool]:
        return connection.request(self.paths[count % len(self.paths)], "198.18.0.7")

    def first_response(self, host: str) -> float | None:
        """Return the time of a host's first good response."""
        return min((one.received for one in self.results if one.good and one.server == host), default=None)


def wait_until(condition: Any, seconds: float) -> float:
    """Wait for a condition. Return the seconds that it took."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds, f"expected the condition within {seconds} s"
        time.sleep(0.2)
    return time.monotonic() - start
