"""What is too much, too large or too slow; who is counted, and by which address; who needs a password."""

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

HARBOUR, MIRROR = "https://harbour.test", "https://mirror.test"
PASSWORD = "correct horse"
LIMITS = {"rate": 2, "burst": 6, "connections": 4}


# --- As everybody has it -----------------------------------------------------------------------


def test_a_large_body_is_refused_before_it_is_taken(visitor):
    with visitor.handshake("mirror.test") as connection:
        connection.sendall(
            b"POST /say/a HTTP/1.1\r\nHost: mirror.test\r\nContent-Length: 999999999\r\n\r\nbegin"
        )
        got = connection.recv(1000)
    assert got.startswith(b"HTTP/1.1 413 "), f"expected 413 at once, got {got[:100]!r}"


@pytest.mark.parametrize(
    ("line", "headers", "status"),
    [
        ("/" + "x" * 9000, {}, 414),
        ("/", {"X-Large": "x" * 9000}, 400),
        ("/", {f"X-{number}": "x" * 4000 for number in range(10)}, 400),
    ],
    ids=["address", "header", "headers"],
)
def test_large_headers_are_refused(visitor, line, headers, status):
    got = visitor.get(MIRROR + line, headers=headers).status_code
    assert got == status, f"expected {status}, got {got}"


@pytest.mark.parametrize(
    "begun",
    [
        b"GET / HTTP/1.1\r\nHost: mirror.test\r\nX-Slow: ",
        b"POST /say/a HTTP/1.1\r\nHost: mirror.test\r\nContent-Length: 1000\r\n\r\nbegin",
    ],
    ids=["headers", "body"],
)
def test_who_is_slow_is_let_go(visitor, begun):
    with visitor.handshake("mirror.test") as connection:
        connection.settimeout(20)
        began, got = time.monotonic(), b""
        connection.sendall(begun)
        try:
            while more := connection.recv(1000):
                got += more
        except ConnectionResetError:
            pass
        took = time.monotonic() - began
    assert 8 < took < 14, f"expected to be let go after ten seconds, got {took:.1f} s and {got[:200]!r}"


def test_an_ordinary_visitor_is_never_refused(visitor):
    """Six clicks one after the other, each with all that the page asks for at once."""
    pages = ["/", "/listings/", "/submit", "/", "/listings/?page=2", "/listings/"]
    asked = 0
    with ThreadPoolExecutor(6) as browser:
        for path in pages:
            page = visitor.get(HARBOUR + path)
            parts = [part.split('"')[0] for part in page.text.split('="/')[1:]]
            answers = list(browser.map(lambda part: visitor.get(f"{HARBOUR}/{part}"), parts))
            asked += 1 + len(answers)
            refused = [answer.url for answer in (page, *answers) if answer.status_code == 429]
            assert not refused, f"expected no refusal, got {refused}"
    assert asked > 30, f"expected pages with their parts, got {asked} answers"


# --- With small limits, a password and a proxy in front ----------------------------------------


@pytest.fixture(scope="module")
def proxied(host, request) -> Iterator[dict[str, Any]]:
    """The site mirror with a password and small limits, believing this machine about visitors."""
    # It depends on the host, or it would still be so when the tests above are run on the next.
    known = host.ansible.get_variables()
    inventory = request.config.getoption("--ansible-inventory")
    sites = yaml.safe_load((Path(inventory) / "group_vars/all/sites.yml").read_text())["sites"]
    sites["mirror"]["nginx"] |= {"limits": LIMITS, "basic_auth": {"ada": PASSWORD}}
    with socket.create_connection((known["ansible_host"], known.get("ansible_port", 22)), 10) as connection:
        own = connection.getsockname()[0]
    given = {"sites": sites, "nginx_trusted_proxies": [own, "198.51.100.0/24"]}
    converge = ("site.yml", inventory, "--limit", known["inventory_hostname"], "--tags", "nginx")
    done = run_playbook(*converge, "--diff", "-vvv", "-e", json.dumps(given))
    assert done.returncode == 0, done.stdout[-3000:]
    yield {"said": done.stdout + done.stderr, "own": own}
    back = run_playbook(*converge)
    assert back.returncode == 0, back.stdout[-3000:]


class Proxied:
    """Asks as a proxy does, for a visitor with an address and the right password."""

    def __init__(self, visitor: Visitor) -> None:
        self.visitor = visitor

    def get(self, path: str, address: str, **headers: str) -> requests.Response:
        told = base64.b64encode(f"ada:{PASSWORD}".encode()).decode()
        given = {"X-Forwarded-For": address, "Authorization": f"Basic {told}", **headers}
        session = requests.Session()
        session.verify, session.trust_env = self.visitor.ca, False
        return session.get(MIRROR + path, headers=given, timeout=30, allow_redirects=False)

    def client(self, address: str) -> list[str]:
        """The address that the application is told, with every name for it."""
        arrived = json.loads(self.get("/seen", address).text)
        return [value for name, value in arrived if name.lower() in ("x-forwarded-for", "x-real-ip")]


@pytest.fixture
def ask(proxied, visitor) -> Proxied:
    return Proxied(visitor)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("203.0.113.1", "203.0.113.1"),
        # CloudFront's edge is known, and was seen by the load balancer.
        ("203.0.113.2, 198.51.100.7", "203.0.113.2"),
        # What a visitor had said before the edge added what it saw.
        ("10.0.0.1, 127.0.0.1, 203.0.113.3, 198.51.100.7", "203.0.113.3"),
        ("198.51.100.9, 203.0.113.4, 198.51.100.7, 198.51.100.8", "203.0.113.4"),
        ("evil, 203.0.113.5", "203.0.113.5"),
        ("2001:db8::5, 198.51.100.7", "2001:db8::5"),
    ],
)
def test_a_visitor_behind_proxies_has_one_address_which_nobody_forges(ask, told, expected):
    assert ask.client(told) == [expected], f"{told}: expected {expected}, got {ask.client(told)}"


def refused(ask: Proxied, *addresses: str, path: str = "/say/a", **headers: str) -> list[int]:
    return [ask.get(path, address, **headers).status_code for address in addresses]


def test_each_visitor_behind_a_proxy_is_counted_alone(ask):
    with ThreadPoolExecutor(12) as many:
        got = list(many.map(lambda _: ask.get("/say/a", "203.0.113.10").status_code, range(30)))
        assert got.count(429) > 5 and 200 in got, f"expected some to be refused, got {got}"
        answer = next(
            answer
            for answer in many.map(lambda _: ask.get("/say/a", "203.0.113.10"), range(20))
            if answer.status_code == 429
        )
        assert answer.headers["Retry-After"] == "2" and answer.headers["X-Frame-Options"] == "DENY"
        # What somebody says of himself makes nobody else of him.
        forged = [f"203.0.113.{number}, 203.0.113.10" for number in range(100, 130)]
        got = list(many.map(lambda told: ask.get("/say/a", told).status_code, forged))
        assert got.count(429) > 5, f"expected a forger to be refused all the same, got {got}"
    assert refused(ask, "203.0.113.11") == [200], "expected another visitor to be served"


def test_a_network_of_ipv6_is_one_visitor(ask):
    for form in ("2001:db8:1:2::{:x}", "2001:db8:1::{:x}", "2001:db8::{:x}", "2001:db8:1:2:3:4:5:{:x}"):
        addresses = [form.format(number) for number in range(1, 31)]
        with ThreadPoolExecutor(12) as many:
            got = list(many.map(lambda address: ask.get("/say/a", address).status_code, addresses))
        assert got.count(429) > 5, f"{form}: expected one network to be counted as one, got {got}"
    with ThreadPoolExecutor(12) as many:
        others = [f"2001:db8:{number:x}:1::1" for number in range(100, 130)]
        got = list(many.map(lambda address: ask.get("/say/a", address).status_code, others))
    assert set(got) == {200}, f"expected other networks not to be counted together, got {got}"


def test_files_and_administrators_are_not_counted(ask):
    with ThreadPoolExecutor(12) as many:
        for address, path in (("203.0.113.20", "/static/style.css"), ("127.0.0.1", "/say/a")):
            got = set(many.map(lambda _, a=address, p=path: ask.get(p, a).status_code, range(40)))
            assert got == {200}, f"{path} from {address}: expected no refusal, got {got}"


def test_nobody_sees_the_site_without_its_password(ask, visitor):
    right = base64.b64encode(f"ada:{PASSWORD}".encode()).decode()
    wrong = base64.b64encode(b"ada:wrong").decode()
    for number, (path, given, expected) in enumerate(
        [
            ("/say/a", {}, 401),
            ("/static/style.css", {}, 401),
            ("/nowhere", {}, 401),
            ("/say/a", {"Authorization": f"Basic {wrong}"}, 401),
            ("/say/a", {"Authorization": f"Bearer {right}"}, 401),
            ("/say/a", {"Authorization": f"Basic {right}"}, 200),
            ("/healthz", {}, 200),
            ("//healthz", {}, 200),
            ("/healthz/", {}, 401),
            ("/healthz/../say/a", {}, 401),
            ("/.decanter/error.html", {}, 404),
        ]
    ):
        given = {"X-Forwarded-For": f"203.0.113.{50 + number}", **given}
        answer = visitor.get(MIRROR + path, headers=given)
        assert answer.status_code in (expected, 404 if path == "//healthz" else expected), (
            f"{path} {given}: expected {expected}, got {answer.status_code}"
        )
        assert answer.headers["X-Frame-Options"] == "DENY" or answer.status_code == 200, answer.headers
    http = visitor.get("http://mirror.test/.well-known/acme-challenge/none")
    assert http.status_code == 404, f"expected an authority to be let in, got {http.status_code}"


def test_a_password_goes_no_further(ask):
    page = json.loads(ask.get("/say/a", "203.0.113.90").text)
    assert page["password"] == "", "expected the application to be told no password"


def test_a_password_is_written_nowhere_else(proxied, host):
    with host.sudo():
        line = host.check_output("tail -1 /etc/nginx/passwords/mirror")
        file = host.file("/etc/nginx/passwords/mirror")
        assert (file.user, file.group, file.mode) == ("root", "www-data", 0o640), (file.group, oct(file.mode))
        # Not on a command line, which sudo writes down.
        pattern = f"echo {base64.b64encode(PASSWORD.encode()).decode()} | base64 -d"
        logs = host.run(f"{pattern} | grep -rlaFf - /var/log /etc/nginx /etc/decanter").stdout
    assert line.startswith("ada:$6$"), f"expected a hash, got {line[:8]}"
    assert logs == "", f"expected the password in no file, got {logs}"
    hashed = line.split(":", 1)[1]
    assert hashed not in proxied["said"], "expected no hash in what Ansible says"
    # The run was given it as an argument, which is shown.
    said = [row for row in proxied["said"].splitlines() if PASSWORD in row and "basic_auth" not in row]
    assert not said, f"expected the password not in what Ansible says, got {said[:3]}"


def test_verify_needs_no_password(proxied, variables, inventory):
    done = run_playbook("verify.yml", inventory, "--limit", variables["inventory_hostname"])
    assert done.returncode == 0, done.stdout[-2000:]
