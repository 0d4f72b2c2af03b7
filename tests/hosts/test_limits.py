"""Limits of nginx: size, speed and rate of requests; trusted proxies; basic authentication."""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tests.hosts.fixtures.lab import Visitor, run_playbook
from tests.hosts.fixtures.raw_requests import unprotected_requests

HARBOUR, MIRROR = "https://harbour.test", "https://mirror.test"
PASSWORD = "correct horse"
LIMITS = {"rate": 2, "burst": 6, "connections": 4}


# --- With default limits -----------------------------------------------------------------------


def test_large_body_is_rejected_before_upload(visitor):
    with visitor.handshake("mirror.test") as connection:
        connection.sendall(
            b"POST /page/a HTTP/1.1\r\nHost: mirror.test\r\nContent-Length: 999999999\r\n\r\nbegin"
        )
        got = connection.recv(1000)
    assert got.startswith(b"HTTP/1.1 413 "), f"expected 413 before the body is complete, got {got[:100]!r}"


@pytest.mark.parametrize(
    ("line", "headers", "status"),
    [
        ("/" + "x" * 9000, {}, 414),
        ("/", {"X-Large": "x" * 9000}, 400),
        ("/", {f"X-{number}": "x" * 4000 for number in range(10)}, 400),
    ],
    ids=["url", "header", "headers"],
)
def test_large_headers_are_rejected(visitor, line, headers, status):
    got = visitor.get(MIRROR + line, headers=headers).status_code
    assert got == status, f"expected {status}, got {got}"


@pytest.mark.parametrize(
    "start",
    [
        b"GET / HTTP/1.1\r\nHost: mirror.test\r\nX-Slow: ",
        b"POST /page/a HTTP/1.1\r\nHost: mirror.test\r\nContent-Length: 1000\r\n\r\nbegin",
    ],
    ids=["headers", "body"],
)
def test_slow_client_is_disconnected(visitor, start):
    with visitor.handshake("mirror.test") as connection:
        connection.settimeout(20)
        started, got = time.monotonic(), b""
        connection.sendall(start)
        try:
            while more := connection.recv(1000):
                got += more
        except ConnectionResetError:
            pass
        seconds = time.monotonic() - started
    assert 8 < seconds < 14, f"expected a disconnection after 10 s, got {seconds:.1f} s and {got[:200]!r}"


def test_ordinary_visitor_is_not_limited(visitor):
    """Load six pages one after the other, each with its concurrent requests for files."""
    pages = ["/", "/listings/", "/submit", "/", "/listings/?page=2", "/listings/"]
    total = 0
    with ThreadPoolExecutor(6) as browser:
        for location in pages:
            page = visitor.get(HARBOUR + location)
            paths = [part.split('"')[0] for part in page.text.split('="/')[1:]]
            responses = list(browser.map(lambda path: visitor.get(f"{HARBOUR}/{path}"), paths))
            total += 1 + len(responses)
            limited = [response.url for response in (page, *responses) if response.status_code == 429]
            assert not limited, f"expected no status 429, got it for {limited}"
    assert total > 30, f"expected more than 30 responses for pages and files, got {total}"


# --- With small limits, a password and trusted proxies -----------------------------------------


@pytest.fixture(scope="module")
def proxy_setup(host, request) -> Iterator[dict[str, Any]]:
    """Configure the site mirror with a password and small limits, and this machine as a trusted proxy."""
    # Depends on `host`, so that pytest restores each host before it runs the tests above on the next host.
    variables = host.ansible.get_variables()
    inventory = request.config.getoption("--ansible-inventory")
    sites = yaml.safe_load((Path(inventory) / "group_vars/all/sites.yml").read_text())["sites"]
    sites["mirror"]["nginx"] |= {"limits": LIMITS, "basic_auth": {"ada": PASSWORD}}
    ssh_address = (variables["ansible_host"], variables.get("ansible_port", 22))
    with socket.create_connection(ssh_address, 10) as connection:
        own_address = connection.getsockname()[0]
    overrides = {"sites": sites, "nginx_trusted_proxies": [own_address, "198.51.100.0/24"]}
    converge = ("site.yml", inventory, "--limit", variables["inventory_hostname"], "--tags", "nginx")
    run = run_playbook(*converge, "--diff", "-vvv", "-e", json.dumps(overrides))
    assert run.returncode == 0, run.stdout[-3000:]
    yield {"output": run.stdout + run.stderr, "own": own_address}
    run = run_playbook(*converge)
    assert run.returncode == 0, run.stdout[-3000:]


class ProxyClient:
    """Send requests as a trusted proxy does, with the address of a client and the correct password."""

    def __init__(self, visitor: Visitor) -> None:
        self.visitor = visitor

    def get(self, path: str, address: str, **headers: str) -> requests.Response:
        credentials = base64.b64encode(f"ada:{PASSWORD}".encode()).decode()
        all_headers = {"X-Forwarded-For": address, "Authorization": f"Basic {credentials}", **headers}
        session = requests.Session()
        session.verify, session.trust_env = self.visitor.ca, False
        return session.get(MIRROR + path, headers=all_headers, timeout=30, allow_redirects=False)

    def forwarded_address(self, address: str) -> list[str]:
        """Return the address of the client in all headers that the application receives."""
        received = json.loads(self.get("/seen", address).text)
        return [value for name, value in received if name.lower() in ("x-forwarded-for", "x-real-ip")]


@pytest.fixture
def proxy(proxy_setup, visitor) -> ProxyClient:
    return ProxyClient(visitor)


@pytest.mark.parametrize(
    ("forwarded_for", "expected"),
    [
        ("203.0.113.1", "203.0.113.1"),
        # The load balancer appends the address of the CDN's edge, which is a trusted proxy.
        ("203.0.113.2, 198.51.100.7", "203.0.113.2"),
        # The client sent forged addresses, and the edge appended the address of the client.
        ("10.0.0.1, 127.0.0.1, 203.0.113.3, 198.51.100.7", "203.0.113.3"),
        ("198.51.100.9, 203.0.113.4, 198.51.100.7, 198.51.100.8", "203.0.113.4"),
        ("evil, 203.0.113.5", "203.0.113.5"),
        ("2001:db8::5, 198.51.100.7", "2001:db8::5"),
    ],
)
def test_client_address_behind_proxies_cannot_be_forged(proxy, forwarded_for, expected):
    got = proxy.forwarded_address(forwarded_for)
    assert got == [expected], f"{forwarded_for}: expected {expected}, got {got}"


def test_rate_limit_counts_each_client_behind_proxy(proxy):
    with ThreadPoolExecutor(12) as pool:
        got = list(pool.map(lambda _: proxy.get("/page/a", "203.0.113.10").status_code, range(30)))
        assert got.count(429) > 5 and 200 in got, f"expected 200, and 429 more than 5 times; got {got}"
        response = next(
            response
            for response in pool.map(lambda _: proxy.get("/page/a", "203.0.113.10"), range(20))
            if response.status_code == 429
        )
        assert response.headers["Retry-After"] == "2" and response.headers["X-Frame-Options"] == "DENY"
        # Addresses that the client forges do not count as other clients.
        forged = [f"203.0.113.{number}, 203.0.113.10" for number in range(100, 130)]
        got = list(pool.map(lambda addresses: proxy.get("/page/a", addresses).status_code, forged))
        assert got.count(429) > 5, f"forged addresses: expected 429 more than 5 times, got {got}"
    other = proxy.get("/page/a", "203.0.113.11").status_code
    assert other == 200, f"expected 200 for another client, got {other}"


def test_rate_limit_counts_ipv6_network_as_one_client(proxy):
    for form in ("2001:db8:1:2::{:x}", "2001:db8:1::{:x}", "2001:db8::{:x}", "2001:db8:1:2:3:4:5:{:x}"):
        addresses = [form.format(number) for number in range(1, 31)]
        with ThreadPoolExecutor(12) as pool:
            got = list(pool.map(lambda address: proxy.get("/page/a", address).status_code, addresses))
        assert got.count(429) > 5, f"{form}: expected 429 more than 5 times, got {got}"
    with ThreadPoolExecutor(12) as pool:
        others = [f"2001:db8:{number:x}:1::1" for number in range(100, 130)]
        got = list(pool.map(lambda address: proxy.get("/page/a", address).status_code, others))
    assert set(got) == {200}, f"expected 200 for clients of different networks, got {got}"


def test_rate_limit_exempts_static_files_and_admin_networks(proxy):
    with ThreadPoolExecutor(12) as pool:
        for address, path in (("203.0.113.20", "/static/style.css"), ("127.0.0.1", "/page/a")):
            got = set(pool.map(lambda _, a=address, p=path: proxy.get(p, a).status_code, range(40)))
            assert got == {200}, f"{path} from {address}: expected 200 only, got {got}"


def test_basic_auth_without_password_is_rejected(proxy, visitor):
    right = base64.b64encode(f"ada:{PASSWORD}".encode()).decode()
    wrong = base64.b64encode(b"ada:wrong").decode()
    for number, (path, headers, expected) in enumerate(
        [
            ("/page/a", {}, 401),
            ("/static/style.css", {}, 401),
            ("/nowhere", {}, 401),
            ("/page/a", {"Authorization": f"Basic {wrong}"}, 401),
            ("/page/a", {"Authorization": f"Bearer {right}"}, 401),
            ("/page/a", {"Authorization": f"Basic {right}"}, 200),
            ("/healthz", {}, 200),
            ("/healthz/", {}, 401),
            ("/.decanter/error.html", {}, 404),
        ]
    ):
        headers = {"X-Forwarded-For": f"203.0.113.{50 + number}", **headers}
        response = visitor.get(MIRROR + path, headers=headers)
        assert response.status_code == expected, (
            f"{path} {headers}: expected {expected}, got {response.status_code}"
        )
        assert response.headers["X-Frame-Options"] == "DENY" or response.status_code == 200, response.headers
    http = visitor.get("http://mirror.test/.well-known/acme-challenge/none")
    assert http.status_code == 404, f"challenge: expected 404 without a password, got {http.status_code}"


def test_basic_auth_is_required_however_a_path_is_written(proxy_setup, visitor):
    wrong = unprotected_requests(visitor, 401)
    assert not wrong, f"expected 401 for all but the health check, got {wrong}"


def test_basic_auth_password_is_not_forwarded(proxy):
    page = json.loads(proxy.get("/page/a", "203.0.113.90").text)
    assert page["password"] == "", "expected the application to receive no password"


def test_basic_auth_password_is_stored_as_hash_only(proxy_setup, host):
    with host.sudo():
        line = host.check_output("tail -1 /etc/nginx/passwords/mirror")
        file = host.file("/etc/nginx/passwords/mirror")
        assert (file.user, file.group, file.mode) == ("root", "www-data", 0o640), (file.group, oct(file.mode))
        # Not as an argument of a command, because sudo logs its arguments.
        pattern = f"echo {base64.b64encode(PASSWORD.encode()).decode()} | base64 -d"
        logs = host.run(f"{pattern} | grep -rlaFf - /var/log /etc/nginx /etc/decanter").stdout
    assert line.startswith("ada:$6$"), f"expected a hash, got {line[:8]}"
    assert logs == "", f"expected no file with the password, got {logs}"
    hashed = line.split(":", 1)[1]
    assert hashed not in proxy_setup["output"], "expected no hash in the output of Ansible"
    # Except in the line with `basic_auth`: Ansible prints the variables of the command line with -vvv.
    rows = [row for row in proxy_setup["output"].splitlines() if PASSWORD in row and "basic_auth" not in row]
    assert not rows, f"expected no password in the output of Ansible, got {rows[:3]}"


def test_basic_auth_verify_needs_no_password(proxy_setup, variables, inventory):
    run = run_playbook("verify.yml", inventory, "--limit", variables["inventory_hostname"])
    assert run.returncode == 0, run.stdout[-2000:]
