"""Requests through the balancer to the web hosts."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from whoami_site import (
    WHOAMI_URL,
    assert_client_address_is_forwarded,
    is_issued_by_pebble,
    own_address,
    request_whoami,
    served_certificate,
    stored_certificate,
)

from tests.hosts.fixtures.lab import run_playbook

testinfra_hosts = ["ansible://balancer1"]
pytestmark = pytest.mark.usefixtures("both_hosts_active")


def test_both_web_hosts_answer(visitor):
    assert {request_whoami(visitor)["host"] for _ in range(6)} == {"web1", "web2"}


def test_client_address_is_forwarded_and_forged_headers_ignored(visitor):
    assert_client_address_is_forwarded(visitor)


def test_request_has_one_id_on_all_hosts(host, visitor, get_host):
    [request_id] = request_whoami(visitor, **{"X-Request-ID": "0" * 32})["X-Request-Id"]
    assert re.fullmatch("[0-9a-f]{32}", request_id) and request_id != "0" * 32, request_id
    logged = [
        one.run("grep -c %s /var/log/nginx/access.log", request_id).stdout.strip()
        for one in (get_host("balancer1"), get_host("web1"), get_host("web2"))
    ]
    assert logged[0] == "1" and sorted(logged[1:]) == ["0", "1"], f"expected it in two logs, got {logged}"


def test_health_checks_of_balancer_are_not_logged(get_host):
    lines = get_host("web1").run("grep -c /healthz /var/log/nginx/access.log").stdout.strip()
    assert lines == "0", f"expected no health check in the access log, got {lines}"


@pytest.mark.parametrize("port", [80, 443])
def test_web_hosts_accept_connections_only_from_balancer(get_host, addresses, port):
    script = "import socket,sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 3)"
    got = {
        name: get_host(name).run("python3 -c %s %s %s", script, addresses["web1"], str(port)).rc
        for name in ("balancer1", "web2")
    }
    assert got["balancer1"] == 0, "expected a connection from the balancer to web1"
    assert got["web2"] != 0, "expected no connection from web2 to web1"
    with pytest.raises(OSError):
        socket.create_connection((addresses["web1"], port), 3).close()


def test_only_balancer_orders_certificate_if_it_terminates_tls(visitor, get_host):
    certificate = served_certificate(visitor)
    assert is_issued_by_pebble(certificate), f"expected Pebble as issuer, got {certificate.issuer}"
    assert certificate == stored_certificate(get_host, "balancer1")
    for name in ("web1", "web2"):
        own = stored_certificate(get_host, name)
        assert own.issuer == own.subject, f"expected self-signed on {name}, got issuer {own.issuer}"


# Send 1000 requests from one address. Print the counts of statuses, and the client addresses that whoami got.
FLOOD = """
import collections, concurrent.futures, http.client, json, socket, ssl, sys
context, statuses, addresses = ssl._create_unverified_context(), collections.Counter(), set()

def send_requests(_):
    connection = http.client.HTTPConnection("whoami.test")
    plain = socket.create_connection((sys.argv[1], 443), 30)
    connection.sock = context.wrap_socket(plain, server_hostname="whoami.test")
    for _ in range(5):
        connection.request("GET", "/")
        response = connection.getresponse()
        body = response.read()
        statuses[response.status] += 1
        if response.status == 200:
            addresses.update(json.loads(body)["X-Forwarded-For"])

with concurrent.futures.ThreadPoolExecutor(200) as threads:
    list(threads.map(send_requests, range(200)))
print(json.dumps({"statuses": statuses, "addresses": sorted(addresses)}))
"""


@pytest.fixture
def lab_limits(inventory) -> Iterator[None]:
    """Apply the balancer's limits to clients in the lab, which are exempt otherwise."""
    converge = ("site.yml", inventory, "--limit", "balancer1", "--tags", "nginx")
    process = run_playbook(*converge, "-e", json.dumps({"nginx_admin_networks": ["127.0.0.0/8"]}))
    assert process.returncode == 0, process.stdout + process.stderr
    yield
    process = run_playbook(*converge)
    assert process.returncode == 0, process.stdout + process.stderr


def test_flood_of_one_address_leaves_other_clients_alone(lab_limits, visitor, get_host, addresses):
    address, statuses = own_address(visitor), []
    with ThreadPoolExecutor(1) as thread:
        flood = thread.submit(
            get_host("web2").check_output, "python3 -c %s %s", FLOOD, addresses["balancer1"]
        )
        while not flood.done() or len(statuses) < 10:
            response = visitor.get(WHOAMI_URL)
            statuses.append(response.status_code)
            assert response.status_code != 200 or response.json()["X-Forwarded-For"] == [address], (
                response.text
            )
            time.sleep(0.1)
    assert set(statuses) == {200}, f"expected 200 for the other client, got {statuses}"
    result = json.loads(flood.result())
    assert set(result["statuses"]) == {"200", "429"}, f"expected only 200 and 429, got {result}"
    # The exact count depends on the time that the host takes to send the requests.
    assert result["statuses"]["429"] > 100, f"expected more than 100 times 429, got {result}"
    assert result["addresses"] == [addresses["web2"]], f"expected the address of web2, got {result}"


def test_http_redirects_to_https(visitor):
    response = visitor.get("http://whoami.test/a?b=c")
    assert (response.status_code, response.headers["Location"]) == (301, "https://whoami.test/a?b=c")
