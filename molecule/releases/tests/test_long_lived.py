"""WebSockets and streams: releases, timeouts, headers, and limits."""

from __future__ import annotations

import secrets
import shutil
import time
from datetime import datetime

import pytest
from conftest import ROOT

from tests.hosts.fixtures.load_generator import Connection, LoadGenerator
from tests.hosts.fixtures.websocket_clients import Endpoint, WebSocketClients

SOCK = Endpoint("sock.test")
SOCKETIO = Endpoint("socketio.test", "/socket.io/?EIO=4&transport=websocket", socketio=True)
QUART = Endpoint("quart.test")
CLIENTS = {SOCK: 100, SOCKETIO: 50, QUART: 50}
SITES = ("sock", "socketio", "quart")
GRACE, TIMEOUT = 20, 10  # of the scenario's sites
# gunicorn notices signals once a second, and its master kills workers 5 s after the end of the grace period.
# On a busy machine, this takes longer: 14 s with a load of 40.
LATE = 20
RECONNECTED = 180  # seconds until all clients are connected again, on a busy machine


class PageLoad(LoadGenerator):
    """A load generator that reads the first page of a site."""

    def send(self, connection: Connection, session: None, count: int, posted: str) -> tuple[int, str, bool]:
        connection.request("GET", "/")
        response = connection.getresponse()
        response.read()
        return response.status, response.headers.get("X-Release") or "", response.status == 200


@pytest.fixture
def open_clients(visitor):
    """Return clients of the endpoints, which run in the block."""
    return lambda clients: WebSocketClients(visitor.endpoint(443), visitor.ca, clients)


@pytest.fixture
def changed_sites(sites, tmp_path):
    """Return the sites with a change of each application with WebSockets."""

    def change() -> dict:
        for name in SITES:
            folder = tmp_path / secrets.token_hex(4) / name
            shutil.copytree(ROOT / f"molecule/releases/sockets/{name}", folder)
            with (folder / "app.py").open("a") as file:
                file.write(f"# {secrets.token_hex(8)}\n")
            sites[name] = sites[name] | {"source": {"path": str(folder)}}
        return sites

    return change


def activation_time(host, site: str) -> float:
    """Return the time of the last activation of a site, in seconds since 1970."""
    with host.sudo():
        line = host.check_output("grep ' live ' /var/log/decanter/%s.log | tail -n 1", site)
    return datetime.fromisoformat(line.split()[0]).timestamp()


@pytest.mark.alone
@pytest.mark.usefixtures("restore_releases")
def test_websockets_outlive_a_release_and_reconnect(host, open_clients, visitor, changed_sites, play, live):
    """200 clients keep their WebSockets for the grace period, and connect again after deploy and rollback."""

    def releases() -> dict[str, str]:
        return {f"{name}.test": live(name) for name in SITES}

    first = releases()
    loads = [
        PageLoad(visitor.endpoint(443), visitor.ca, f"{name}.test", connections=1, rate=4, posting=False)
        for name in SITES
    ]
    with open_clients(CLIENTS) as clients, loads[0], loads[1], loads[2]:
        clients.follow(first, RECONNECTED)
        sites = changed_sites()
        result = play("deploy.yml", sites)
        assert result.returncode == 0, result.stdout + result.stderr
        second = releases()
        assert not first.items() & second.items(), f"expected other releases than {first}, got {second}"
        activated = {f"{name}.test": activation_time(host, name) for name in SITES}
        clients.follow(second, GRACE + LATE + RECONNECTED)
        old = [connection for connection in clients.connections if connection.closed]
        lifetimes = sorted(round(one.closed - activated[one.endpoint.name], 1) for one in old)

        # The second run follows at once. Sites of which the instance still drains wait for `timeout` at most.
        result = play("deploy.yml", changed_sites())
        assert result.returncode == 0, result.stdout + result.stderr
        third = releases()
        start = time.time()
        for name in SITES:
            result = play("rollback.yml", sites, "-e", f"site={name}")
            assert result.returncode == 0, result.stdout + result.stderr
        seconds = round(time.time() - start, 1)
        assert releases() == second, f"expected a rollback to {second}, got {releases()}"
        clients.follow(second, GRACE + LATE + RECONNECTED)

    total = sum(CLIENTS.values())
    assert len(old) == total, f"expected {total} WebSockets closed after the grace period, got {len(old)}"
    assert lifetimes[0] > GRACE - 2 and lifetimes[-1] < GRACE + LATE, (
        f"expected {GRACE} s from the activation to the end, got {lifetimes[0]} to {lifetimes[-1]} s"
    )
    assert not clients.failures, f"expected no failed handshake, got {clients.failures[:5]}"
    requests = [result for load in loads for result in load.results]
    lost = [result for load in loads for result in load.lost]
    assert len(requests) > 500 and not lost, (
        f"expected more than 500 requests and none lost, got {len(requests)}, lost {lost[:5]}"
    )
    print(
        f"\n{len(requests)} requests; WebSockets closed {lifetimes[0]} to {lifetimes[-1]} s after it; "
        f"three rollbacks in {seconds} s; releases {first}, {second}, {third}"
    )


def test_long_lived_connection_is_closed_after_idle_timeout(visitor):
    name, idle = "sock.test", 30
    with visitor.handshake(name) as connection:
        connection.sendall(handshake(name, "/ws"))
        assert b" 101 " in connection.recv(1000), "expected a WebSocket"
        start = time.monotonic()
        connection.settimeout(idle * 2)
        while connection.recv(1000):
            pass
        seconds = time.monotonic() - start
    assert idle - 2 < seconds < idle + 5, f"expected {idle} s until nginx closes it, got {seconds:.0f} s"


def handshake(name: str, path: str, upgrade: str = "websocket", method: str = "GET") -> bytes:
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: {name}",
        f"Upgrade: {upgrade}",
        "Connection: Upgrade, HTTP2-Settings",
        "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


@pytest.mark.parametrize(
    ("path", "upgrade", "method"),
    [
        ("/connection", "h2c", "GET"),
        ("/connection", "h2c, websocket", "GET"),
        ("/connection", "websocket", "HEAD"),
    ],
)
def test_other_upgrade_is_not_forwarded(visitor, path, upgrade, method):
    with visitor.handshake("quart.test") as connection:
        connection.settimeout(10)
        connection.sendall(handshake("quart.test", path, upgrade, method))
        response = connection.recv(2000).decode()
    assert response.startswith("HTTP/1.1 200 "), f"expected status 200 without an upgrade, got {response}"
    assert method == "HEAD" or '"upgrade":""' in response, f"expected no header Upgrade, got {response}"


def test_websocket_of_other_path_is_not_forwarded(visitor):
    with visitor.handshake("sock.test") as connection:
        connection.settimeout(10)
        connection.sendall(handshake("sock.test", "/", "websocket"))
        response = connection.recv(2000).decode()
    assert response.startswith("HTTP/1.1 200 "), f"expected the page of the path, got {response}"


def test_stream_is_forwarded_in_parts(visitor):
    start = time.monotonic()
    with visitor.get("https://sock.test/events", stream=True) as response:
        times = [time.monotonic() - start for line in response.iter_lines() if line]
    assert len(times) == 50 and times[0] < 2 and times[-1] - times[0] > 8, (
        f"expected 50 events over 10 s, got {len(times)}, first {times[0]:.1f} s, last {times[-1]:.1f} s"
    )


def test_asgi_scope_has_client_scheme_and_host(visitor, variables):
    forged = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "evil.test"}
    found = visitor.get("https://quart.test/connection", headers=forged).json()
    port = variables["lab_https_port"]
    host = "quart.test" if port == 443 else f"quart.test:{port}"
    expected = {"client": visitor.own_address(), "scheme": "https", "host": host}
    expected |= {"server": ["quart.test", port], "upgrade": ""}
    assert found == expected, f"expected {expected}, got {found}"


def test_http3_is_served_and_announced(host, visitor):
    announced = visitor.get("https://quart.test/").headers["Alt-Svc"]
    assert announced.startswith('h3=":'), f"expected Alt-Svc with h3, got {announced}"
    with host.sudo():
        assert host.socket("udp://0.0.0.0:443").is_listening, "expected nginx to listen on UDP port 443"
        rules = host.check_output("ufw status")
    assert "443/udp" in rules, f"expected an open UDP port 443, got {rules}"
    # The host's OpenSSL has a client of QUIC. The last line of its input ends the connection.
    client = "openssl s_client -quic -alpn h3 -connect 127.0.0.1:443 -servername quart.test"
    output = host.check_output(f"echo Q | timeout 20 {client} 2>&1")
    assert "ALPN protocol: h3" in output, f"expected a handshake of QUIC for HTTP/3, got {output}"
