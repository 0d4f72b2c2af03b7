"""Responses of a site in maintenance, or with a stopped application, and the exempt clients."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hosts.fixtures.lab import run_playbook
from tests.hosts.fixtures.raw_requests import unprotected_requests

MIRROR = "https://mirror.test"
HARBOUR = "https://harbour.test"


@pytest.fixture
def maintenance(inventory, variables):
    """Return a function that starts or ends maintenance, as make does, and returns the output."""

    def run(state: str, *arguments: str) -> str:
        limit = ("--limit", variables["inventory_hostname"])
        result = run_playbook("maintenance.yml", inventory, *limit, "-e", f"maintenance={state}", *arguments)
        return result.stdout + result.stderr

    return run


@pytest.fixture
def mirror_in_maintenance(maintenance) -> Iterator[None]:
    output = maintenance("on", "-e", "site=mirror")
    assert "changed=1" in output, output
    yield
    maintenance("off")


def test_site_in_maintenance_sends_503_and_its_own_page(mirror_in_maintenance, visitor):
    for method in ("GET", "HEAD", "POST", "DELETE"):
        response = visitor.session.request(method, f"{MIRROR}/page/a", timeout=20)
        assert response.status_code == 503, f"expected 503 for {method}, got {response.status_code}"
        assert response.headers["Retry-After"] == "120", response.headers
        assert method == "HEAD" or "being polished" in response.text, response.text
    assert response.headers["X-Frame-Options"] == "DENY"
    response = visitor.get(f"{MIRROR}/page/a", headers={"Accept": "application/json"})
    assert (response.status_code, response.json()) == (503, {"error": "Closed for maintenance"})
    assert visitor.get(f"{MIRROR}/static/style.css").status_code == 503


def test_maintenance_exempts_other_sites_health_check_and_admins(mirror_in_maintenance, visitor, host):
    assert visitor.get(f"{HARBOUR}/").status_code == 200, "expected 200 from another site"
    response = visitor.get(f"{MIRROR}/healthz")
    assert response.status_code == 200 and response.headers["X-Release"], (
        "expected the response of the health check"
    )
    wrong = unprotected_requests(visitor, 503)
    assert not wrong, f"expected 503 for all but the health check, got {wrong}"
    # The default of nginx_admin_networks contains the loopback addresses.
    client = """
import socket, ssl
plain = socket.create_connection(("127.0.0.1", 443))
connection = ssl._create_unverified_context().wrap_socket(plain, server_hostname="mirror.test")
connection.sendall(b"GET /page/a HTTP/1.1\\r\\nHost: mirror.test\\r\\nConnection: close\\r\\n\\r\\n")
print(connection.recv(100).split()[1].decode())
"""
    assert host.check_output("python3 -c %s", client) == "200", "expected 200 for an administrator"


def test_maintenance_survives_converge_and_is_reported(
    mirror_in_maintenance, maintenance, visitor, inventory, variables, host
):
    assert "changed=0" in maintenance("on", "-e", "site=mirror"), "expected no change by the second run"
    limit = ("--limit", variables["inventory_hostname"])
    converge = run_playbook("site.yml", inventory, *limit, "--tags", "nginx")
    assert converge.returncode == 0 and "changed=0" in converge.stdout, converge.stdout[-2000:]
    assert visitor.get(f"{MIRROR}/").status_code == 503, "expected 503 after a converge"
    output = run_playbook("releases.yml", inventory, *limit).stdout
    assert output.count("in maintenance; make maintenance OFF=1 SITE=mirror ends it") == 1, output
    verification = run_playbook("verify.yml", inventory, *limit)
    assert verification.returncode == 0, verification.stdout
    assert "mirror.test/healthz: 200, in maintenance" in verification.stdout, verification.stdout


def test_maintenance_starts_and_ends_without_nginx_reload(maintenance, visitor, host):
    before = host.check_output(
        "systemctl show --property StateChangeTimestampMonotonic --value nginx.service"
    )
    maintenance("on")
    assert visitor.get(f"{HARBOUR}/").status_code == visitor.get(f"{MIRROR}/").status_code == 503
    maintenance("off")
    assert visitor.get(f"{HARBOUR}/").status_code == 200
    after = host.check_output("systemctl show --property StateChangeTimestampMonotonic --value nginx.service")
    assert before == after, "expected no reload of nginx"


def test_maintenance_without_on_or_off_fails(maintenance):
    output = maintenance("")
    assert 'found "", expected ON=1 or OFF=1. Nothing was changed.' in output.replace("\n", " "), output


def test_stopped_application_sends_502_and_page_of_site(host, visitor):
    with host.sudo():
        unit = host.check_output("basename $(readlink /run/decanter/mirror/live.sock) .sock")
        units = f"mirror@{unit}.socket mirror@{unit}.service"
        host.check_output(f"systemctl stop {units}")
        try:
            for method in ("GET", "POST"):
                response = visitor.session.request(method, f"{MIRROR}/page/down", timeout=20)
                got = (
                    response.status_code,
                    response.headers.get("Retry-After"),
                    response.headers.get("X-Frame-Options"),
                )
                assert got == (502, "5", "DENY"), (
                    f"{method}: expected 502, Retry-After and X-Frame-Options, got {got}"
                )
                assert "The mirror is broken" in response.text, response.text
            response = visitor.get(f"{MIRROR}/page/down", headers={"Accept": "application/problem+json"})
            assert (response.status_code, response.json()) == (502, {"error": "No answer just now"})
            assert visitor.get(f"{MIRROR}/static/style.css").status_code == 200, "expected static files"
        finally:
            host.check_output(f"systemctl start {units}")


def test_error_page_of_the_application_is_unchanged(visitor):
    for status in (500, 502, 503, 504, 404):
        response = visitor.get(f"{MIRROR}/page/own", params={"status": status})
        assert response.status_code == status and "number" in response.text, response.text
