"""Requests through the balancer to the web hosts."""

from __future__ import annotations

import json
import re
import secrets
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import wait_until
from whoami_site import (
    WHOAMI_URL,
    assert_client_address_is_forwarded,
    is_issued_by_pebble,
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
        get_host(name).run(f"sudo grep -c %s /var/log/{program}/access.log", request_id).stdout.strip()
        for name, program in (("balancer1", "haproxy"), ("web1", "nginx"), ("web2", "nginx"))
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
    """Apply the limits of the web hosts to clients in the lab, which are exempt otherwise."""
    converge = ("site.yml", inventory, "--limit", "web", "--tags", "nginx")
    process = run_playbook(*converge, "-e", json.dumps({"nginx_admin_networks": ["127.0.0.0/8"]}))
    assert process.returncode == 0, process.stdout + process.stderr
    yield
    process = run_playbook(*converge)
    assert process.returncode == 0, process.stdout + process.stderr


def test_flood_of_one_address_leaves_other_clients_alone(lab_limits, visitor, get_host, addresses):
    address, statuses = visitor.own_address(), []
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


def test_unknown_names_receive_no_response(visitor):
    with pytest.raises(OSError):
        visitor.handshake("unknown.test")
    with pytest.raises(OSError):
        visitor.handshake(None)
    plain = socket.create_connection(visitor.endpoint(80), 5)
    for connection in (plain, visitor.handshake("whoami.test")):
        with connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: unknown.test\r\n\r\n")
            response = connection.recv(100)
            assert response == b"", f"expected no response, got {response!r}"


def test_other_names_redirect_to_first_name(visitor):
    response = visitor.get("https://www.whoami.test/a?b=c")
    assert (response.status_code, response.headers["Location"]) == (308, "https://whoami.test/a?b=c")


def test_log_of_requests_has_no_query_strings(host, visitor):
    secret = secrets.token_hex(8)
    visitor.get(f"{WHOAMI_URL}?token={secret}", headers={"Referer": f"https://a.test/?{secret}"})
    line = json.loads(host.check_output("sudo tail -n 1 /var/log/haproxy/access.log"))
    assert (line["host"], line["path"], line["status"]) == ("whoami.test", "/", 200), line
    found = host.run("sudo grep -r %s /var/log/haproxy; sudo journalctl -u haproxy -g %s", secret, secret)
    assert secret not in found.stdout, f"expected no query string in a log, got {found.stdout}"


def test_statistics_are_on_loopback_and_commands_for_root(host, visitor):
    script = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8404/metrics').read().decode())"
    metrics = host.check_output("python3 -c %s", script)
    up = re.findall(r'haproxy_server_status{proxy="whoami",server="(\w+)",state="UP"} 1', metrics)
    assert sorted(up) == ["web1", "web2"], f"expected both hosts in the metrics, got {up}"
    with pytest.raises(OSError):
        socket.create_connection((visitor.endpoint(443)[0], 8404), 3).close()
    for command in ("ls /run/decanter/balancer", "test -r /run/decanter/balancer/admin.sock"):
        assert host.run(f"sudo -u www-data {command}").rc != 0, f"expected no access by {command}"


def test_unreachable_web_hosts_give_page_and_json(visitor, get_host):
    hosts = [get_host(name) for name in ("web1", "web2")]
    for one in hosts:
        one.check_output("systemctl stop nginx")
    try:
        page = visitor.get(WHOAMI_URL)
        data = visitor.get(WHOAMI_URL, headers={"Accept": "application/json"})
    finally:
        for one in hosts:
            one.check_output("systemctl start nginx")
    assert (page.status_code, page.headers["Retry-After"]) == (503, "5"), page.headers
    assert page.headers["Content-Type"] == "text/html" and "<h1>No answer" in page.text, page.text
    assert data.headers["Content-Type"] == "application/json", data.headers
    assert data.json() == {"error": "No answer just now"}, data.text


def test_unhealthy_site_gets_requests_on_all_hosts(visitor, get_host, active_members):
    """The fault is probably in the site or in its health path, so its own pages are better than none."""
    command = "systemctl list-units --plain --no-legend 'whoami@*' | cut -d' ' -f1"
    units = {name: get_host(name).check_output(command).split() for name in ("web1", "web2")}
    for name, found in units.items():
        get_host(name).check_output("systemctl stop " + " ".join(found))
    try:
        wait_until(lambda: active_members() == set(), 10)
        response = visitor.get(WHOAMI_URL)
    finally:
        for name, found in units.items():
            get_host(name).check_output("systemctl start " + " ".join(found))
    assert response.status_code == 502, f"expected the response of a web host, got {response.status_code}"
    wait_until(lambda: visitor.get(WHOAMI_URL).status_code == 200, 10)
