"""A site that is closed, or down: what visitors are told, and who is let in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hosts.fixtures.lab import run_playbook

MIRROR = "https://mirror.test"
HARBOUR = "https://harbour.test"


@pytest.fixture
def maintenance(inventory, variables):
    """Close or open a site, as make does."""

    def run(what: str, *arguments: str) -> str:
        limit = ("--limit", variables["inventory_hostname"])
        done = run_playbook("maintenance.yml", inventory, *limit, "-e", f"maintenance={what}", *arguments)
        return done.stdout + done.stderr

    return run


@pytest.fixture
def closed(maintenance) -> Iterator[None]:
    said = maintenance("on", "-e", "site=mirror")
    assert "changed=1" in said, said
    yield
    maintenance("off")


def test_a_closed_site_says_so_in_its_own_words(closed, visitor):
    for method in ("GET", "HEAD", "POST", "DELETE"):
        answer = visitor.session.request(method, f"{MIRROR}/say/a", timeout=20)
        assert answer.status_code == 503, f"expected 503 for {method}, got {answer.status_code}"
        assert answer.headers["Retry-After"] == "120", answer.headers
        assert method == "HEAD" or "being polished" in answer.text, answer.text
    assert answer.headers["X-Frame-Options"] == "DENY"
    program = visitor.get(f"{MIRROR}/say/a", headers={"Accept": "application/json"})
    assert (program.status_code, program.json()) == (503, {"error": "Closed for maintenance"})
    assert visitor.get(f"{MIRROR}/static/style.css").status_code == 503


def test_other_sites_the_health_and_administrators_are_let_in(closed, visitor, host):
    assert visitor.get(f"{HARBOUR}/").status_code == 200, "expected another site to be open"
    answer = visitor.get(f"{MIRROR}/healthz")
    assert answer.status_code == 200 and answer.headers["X-Release"], "expected its health to be told"
    for place in ("/healthz/", "/healthz/../say/a", "//healthz/..%2fsay/a", "/.decanter/maintenance.html"):
        got = visitor.get(MIRROR + place).status_code
        assert got in (404, 503), f"expected {place} to be closed, got {got}"
    # The host itself is among the administrators' networks.
    ask = """
import socket, ssl
plain = socket.create_connection(("127.0.0.1", 443))
connection = ssl._create_unverified_context().wrap_socket(plain, server_hostname="mirror.test")
connection.sendall(b"GET /say/a HTTP/1.1\\r\\nHost: mirror.test\\r\\nConnection: close\\r\\n\\r\\n")
print(connection.recv(100).split()[1].decode())
"""
    assert host.check_output("python3 -c %s", ask) == "200", "expected an administrator to be let in"


def test_it_stays_closed_and_is_seen_to_be(closed, maintenance, visitor, inventory, variables, host):
    assert "changed=0" in maintenance("on", "-e", "site=mirror"), "expected the second time to change nothing"
    limit = ("--limit", variables["inventory_hostname"])
    done = run_playbook("site.yml", inventory, *limit, "--tags", "nginx")
    assert done.returncode == 0 and "changed=0" in done.stdout, done.stdout[-2000:]
    assert visitor.get(f"{MIRROR}/").status_code == 503, "expected a converge to leave it closed"
    said = run_playbook("releases.yml", inventory, *limit).stdout
    assert said.count("in maintenance; make maintenance OFF=1 SITE=mirror ends it") == 1, said
    verified = run_playbook("verify.yml", inventory, *limit)
    assert verified.returncode == 0, verified.stdout
    assert "mirror.test/healthz: 200, in maintenance" in verified.stdout, verified.stdout


def test_nobody_has_to_be_told_by_a_reload(maintenance, visitor, host):
    since = host.check_output("systemctl show --property StateChangeTimestampMonotonic --value nginx.service")
    maintenance("on")
    assert visitor.get(f"{HARBOUR}/").status_code == visitor.get(f"{MIRROR}/").status_code == 503
    maintenance("off")
    assert visitor.get(f"{HARBOUR}/").status_code == 200
    after = host.check_output("systemctl show --property StateChangeTimestampMonotonic --value nginx.service")
    assert since == after, "expected nginx to have been left alone"


def test_neither_on_nor_off_is_refused(maintenance):
    said = maintenance("")
    assert 'found "", expected ON=1 or OFF=1. Nothing was changed.' in said.replace("\n", " "), said


def test_a_site_that_is_down_says_so_in_its_own_words(host, visitor):
    with host.sudo():
        unit = host.check_output("basename $(readlink /run/decanter/mirror/live.sock) .sock")
        units = f"mirror@{unit}.socket mirror@{unit}.service"
        host.check_output(f"systemctl stop {units}")
        try:
            for method in ("GET", "POST"):
                answer = visitor.session.request(method, f"{MIRROR}/say/down", timeout=20)
                got = (
                    answer.status_code,
                    answer.headers.get("Retry-After"),
                    answer.headers.get("X-Frame-Options"),
                )
                assert got == (502, "5", "DENY"), f"{method}: expected 502 with our headers, got {got}"
                assert "The mirror is broken" in answer.text, answer.text
            program = visitor.get(f"{MIRROR}/say/down", headers={"Accept": "application/problem+json"})
            assert (program.status_code, program.json()) == (502, {"error": "No answer just now"})
            assert visitor.get(f"{MIRROR}/static/style.css").status_code == 200, "expected files to be there"
        finally:
            host.check_output(f"systemctl start {units}")


def test_what_an_application_says_of_its_errors_stays(visitor):
    for status in (500, 502, 503, 504, 404):
        answer = visitor.get(f"{MIRROR}/say/own", params={"status": status})
        assert answer.status_code == status and "number" in answer.text, answer.text
