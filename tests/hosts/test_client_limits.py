"""Limits of the connections of one address, with slow clients on another host of the scenario."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("fixtures").joinpath("slow_clients.py").read_text()
PAGE = "https://mirror.test/page/a"
# The defaults of roles/firewall.
CONNECTIONS, RATE = 512, 100
# Addresses for these tests only, because other tests of the same address would share its limits.
SERVER = ("198.18.25.1/24", "fd25:0:0:1::1/32")
CLIENTS = ("198.18.25.2/24", "198.18.25.3/24", "fd25:0:0:2::1/32", "fd25:0:0:2::2/32", "fd25:0:0:3::1/32")
SERVER4, SERVER6, FIRST, SECOND, SAME_64_A, SAME_64_B, OTHER_64 = (
    address.split("/")[0] for address in SERVER + CLIENTS
)

Clients = Callable[..., dict[str, tuple[int, int]]]

pytestmark = pytest.mark.alone


@pytest.fixture
def slow_clients(host, peer) -> Iterator[Clients]:
    """Return a function that runs slow_clients.py on the other host.

    It returns for each address the largest number of connections at the same time, and the number of all.
    """
    machines = ((host, SERVER), (peer, CLIENTS))
    for machine, addresses in machines:
        with machine.sudo():
            for address in addresses:
                option = "nodad" if ":" in address else ""  # usable at once
                machine.check_output(f"ip address replace {address} dev eth0 {option}")

    def run(server: str, kind: str, connections: int, seconds: float, *sources: str):
        arguments = [server, kind, str(connections), str(seconds), *sources]
        output = peer.check_output("python3 -c %s " + " ".join(arguments), SCRIPT)
        return {source: tuple(counts) for source, counts in json.loads(output).items()}

    yield run
    for machine, addresses in machines:
        with machine.sudo():
            for address in addresses:
                machine.check_output(f"ip address delete {address} dev eth0")


def test_silent_connections_of_one_address_are_limited(slow_clients, visitor):
    got = slow_clients(SERVER4, "silent", CONNECTIONS + 200, 6, FIRST)[FIRST][0]
    # Clients of a busy machine close a few connections late.
    assert CONNECTIONS * 0.9 < got <= CONNECTIONS + 10, (
        f"expected at most {CONNECTIONS} connections, got {got}"
    )
    assert visitor.get(PAGE).status_code == 200, "expected 200 for another address"


def test_ipv6_network_is_limited_as_one_address(slow_clients):
    got = slow_clients(SERVER6, "silent", CONNECTIONS // 2 + 100, 6, SAME_64_A, SAME_64_B, OTHER_64)
    shared, other = got[SAME_64_A][0] + got[SAME_64_B][0], got[OTHER_64][0]
    assert CONNECTIONS * 0.9 < shared <= CONNECTIONS + 10, (
        f"expected at most {CONNECTIONS} connections of a /64, got {shared}"
    )
    assert other == CONNECTIONS // 2 + 100, f"expected all connections of another /64, got {other}"


def test_rate_of_new_connections_is_limited(slow_clients):
    seconds = 5
    got = slow_clients(SERVER4, "short", 50, seconds, FIRST)[FIRST][1]
    most = CONNECTIONS + RATE * (seconds + 1)
    assert CONNECTIONS < got <= most, (
        f"expected {CONNECTIONS} to {most} connections in {seconds} s, got {got}"
    )


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Return a frame of HTTP/2 (RFC 9113, section 4.1)."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def frames(connection: ssl.SSLSocket) -> Iterator[tuple[int, bytes]]:
    """Yield the type and the payload of each frame until the server closes the connection."""
    buffer = b""
    while True:
        try:
            more = connection.recv(65536)
        except ConnectionResetError:
            return
        if not more:
            return
        buffer += more
        while len(buffer) >= 9 and len(buffer) >= 9 + (length := int.from_bytes(buffer[:3])):
            yield buffer[3], buffer[9 : 9 + length]
            buffer = buffer[9 + length :]


def test_http2_resets_close_the_connection(visitor):
    """Reset 1500 streams at once (CVE-2023-44487). The limit of concurrent streams does not count them."""
    context = ssl.create_default_context(cafile=visitor.ca)
    context.set_alpn_protocols(["h2"])
    plain = socket.create_connection(visitor.endpoint(443), 10)
    # HPACK: indexed GET and https, and two literals with an indexed name.
    path, name = b"/static/style.css", b"mirror.test"
    block = b"\x82\x87\x04" + bytes([len(path)]) + path + b"\x01" + bytes([len(name)]) + name
    attack = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"")
    for stream in range(1, 3000, 2):
        attack += frame(1, 0x5, stream, block) + frame(3, 0, stream, struct.pack(">I", 8))
    settings, last = {}, None
    with context.wrap_socket(plain, server_hostname="mirror.test") as connection:
        assert connection.selected_alpn_protocol() == "h2"
        connection.settimeout(20)
        with contextlib.suppress(OSError):  # the server has closed the connection
            connection.sendall(attack)
        for kind, payload in frames(connection):
            if kind == 4:
                settings |= dict(struct.iter_unpack(">HI", payload))
            if kind == 7:
                last = struct.unpack(">I", payload[:4])[0]
    assert settings.get(3) == 128, f"expected 128 concurrent streams, got {settings}"
    assert last is not None and last <= 2001, (
        f"expected GOAWAY after at most 1000 streams, got the last ID {last}"
    )


def test_slow_clients_do_not_delay_another_visitor(slow_clients, visitor):
    """Twice the slow clients of the audit: 1000 connections from each of two addresses."""
    results: list[tuple[float, int]] = []

    def visit() -> None:
        started = time.monotonic()
        status = visitor.get(PAGE).status_code
        results.append((time.monotonic() - started, status))

    for kind in ("header", "body"):
        attack = threading.Thread(target=slow_clients, args=(SERVER4, kind, 1000, 14, FIRST, SECOND))
        attack.start()
        while attack.is_alive():
            visit()
            time.sleep(0.1)
        attack.join()
    seconds = sorted(second for second, _ in results)
    failed = [status for _, status in results if status != 200]
    p99 = seconds[int(len(seconds) * 0.99)]
    assert len(seconds) > 100 and not failed, f"expected 200 only, got {failed} in {len(seconds)} requests"
    assert p99 < 1, f"expected a p99 below 1 s in {len(seconds)} requests, got {p99:.2f} s"
