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
IPV4, IPV6 = "198.18.25.0/24", "fd25::/32"
SERVER = ("198.18.25.1/24", "fd25:0:0:1::1/32")
CLIENTS = ("198.18.25.2/24", "198.18.25.3/24", "fd25:0:0:2::1/32", "fd25:0:0:2::2/32", "fd25:0:0:3::1/32")
SERVER4, SERVER6, FIRST, SECOND, SAME_64_A, SAME_64_B, OTHER_64 = (
    address.split("/")[0] for address in SERVER + CLIENTS
)

Clients = Callable[..., dict[str, tuple[int, int]]]

pytestmark = [pytest.mark.alone, pytest.mark.make_test_hosts()]  # it takes 70 s for each host


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
    for machine, _ in machines:
        with machine.sudo():
            machine.check_output(f"ip address flush to {IPV4} dev eth0; ip address flush to {IPV6} dev eth0")


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
    assert other > 200, f"expected separate connections of another /64, got {other}"


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


def frames(received: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the type and the payload of each complete frame."""
    while len(received) >= 9 and len(received) >= (end := 9 + int.from_bytes(received[:3], "big")):
        yield received[3], received[9:end]
        received = received[end:]


def test_http2_resets_close_the_connection(visitor):
    """Reset 1500 streams at once (CVE-2023-44487). The limit of concurrent streams does not count them."""
    context = ssl.create_default_context(cafile=visitor.ca)
    context.set_alpn_protocols(["h2"])
    # HPACK: indexed GET and https, and two literals with an indexed name.
    path, name = b"/static/style.css", b"mirror.test"
    block = b"\x82\x87\x04" + bytes([len(path)]) + path + b"\x01" + bytes([len(name)]) + name
    reset = struct.pack(">I", 8)
    streams = [frame(1, 0x5, n, block) + frame(3, 0, n, reset) for n in range(1, 3000, 2)]
    sent, received, closed = 0, b"", False
    plain = socket.create_connection(visitor.endpoint(443), 10)
    with context.wrap_socket(plain, server_hostname="mirror.test") as connection:
        assert connection.selected_alpn_protocol() == "h2"
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b""))
        connection.settimeout(0.05)
        # In small parts, because nginx also closes a connection with many new streams in one packet.
        while sent < len(streams) and not closed:
            try:
                connection.sendall(b"".join(streams[sent : sent + 20]))
                sent += 20
                more = connection.recv(65536)
                received, closed = received + more, more == b""
            except TimeoutError:
                continue
            except OSError:
                closed = True
        connection.settimeout(10)
        with contextlib.suppress(TimeoutError):
            while not closed and not any(kind == 7 for kind, _ in frames(received)):
                more = connection.recv(65536)
                received, closed = received + more, more == b""
    got = list(frames(received))
    settings = dict(pair for kind, payload in got if kind == 4 for pair in struct.iter_unpack(">HI", payload))
    goaway = any(kind == 7 for kind, _ in got)
    assert settings.get(3) == 128, f"expected 128 concurrent streams, got {settings}"
    assert closed or goaway, f"expected the end of the connection within {len(streams)} streams, got none"


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
