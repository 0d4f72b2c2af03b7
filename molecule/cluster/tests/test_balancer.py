"""Requests through the balancer to the web hosts."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from whoami_site import PLACE, assert_address_survives, by_pebble, held, own_address, seen, shown

from tests.hosts.fixtures.lab import run_playbook

testinfra_hosts = ["ansible://balancer1"]
pytestmark = pytest.mark.usefixtures("whole")


def test_both_web_hosts_answer(visitor):
    assert {seen(visitor)["host"] for _ in range(6)} == {"web1", "web2"}


def test_the_visitor_s_address_survives_and_cannot_be_forged(visitor):
    assert_address_survives(visitor)


def test_a_request_has_one_number_from_the_balancer_to_the_application(host, visitor, machine):
    [number] = seen(visitor, **{"X-Request-ID": "0" * 32})["X-Request-Id"]
    assert re.fullmatch("[0-9a-f]{32}", number) and number != "0" * 32, number
    logged = [
        one.run("grep -c %s /var/log/nginx/access.log", number).stdout.strip()
        for one in (machine("balancer1"), machine("web1"), machine("web2"))
    ]
    assert logged[0] == "1" and sorted(logged[1:]) == ["0", "1"], f"expected it in two logs, got {logged}"


def test_the_balancer_s_own_questions_are_no_visits(machine):
    asked = machine("web1").run("grep -c /healthz /var/log/nginx/access.log").stdout.strip()
    assert asked == "0", f"expected none of them in the log of visits, got {asked}"


@pytest.mark.parametrize("port", [80, 443])
def test_web_hosts_let_in_nobody_but_the_balancer(machine, addresses, port):
    script = "import socket,sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 3)"
    got = {
        name: machine(name).run("python3 -c %s %s %s", script, addresses["web1"], str(port)).rc
        for name in ("balancer1", "web2")
    }
    assert got["balancer1"] == 0, "expected the balancer to be let in"
    assert got["web2"] != 0, "expected another host to be kept out"
    with pytest.raises(OSError):
        socket.create_connection((addresses["web1"], port), 3).close()


def test_where_tls_ends_one_certificate_is_asked_for(visitor, machine):
    made = shown(visitor)
    assert by_pebble(made), f"expected the ACME server's, got {made.issuer}"
    assert made == held(machine, "balancer1")
    for name in ("web1", "web2"):
        own = held(machine, name)
        assert own.issuer == own.subject, f"expected {name} to ask for none, got one by {own.issuer}"


# Asks as a crowd behind one address; prints how often it met each status, and whom the application saw.
FLOOD = """
import collections, concurrent.futures, http.client, json, socket, ssl, sys
context, statuses, seen = ssl._create_unverified_context(), collections.Counter(), set()

def ask(_):
    connection = http.client.HTTPConnection("whoami.test")
    plain = socket.create_connection((sys.argv[1], 443), 30)
    connection.sock = context.wrap_socket(plain, server_hostname="whoami.test")
    for _ in range(5):
        connection.request("GET", "/")
        answer = connection.getresponse()
        body = answer.read()
        statuses[answer.status] += 1
        if answer.status == 200:
            seen.update(json.loads(body)["X-Forwarded-For"])

with concurrent.futures.ThreadPoolExecutor(200) as crowd:
    list(crowd.map(ask, range(200)))
print(json.dumps({"statuses": statuses, "seen": sorted(seen)}))
"""


@pytest.fixture
def limited(inventory) -> Iterator[None]:
    """The balancer counts those of the lab as well, who otherwise ask as often as they like."""
    converge = ("site.yml", inventory, "--limit", "balancer1", "--tags", "nginx")
    done = run_playbook(*converge, "-e", json.dumps({"nginx_admin_networks": ["127.0.0.0/8"]}))
    assert done.returncode == 0, done.stdout + done.stderr
    yield
    done = run_playbook(*converge)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_flood_of_one_address_is_refused_and_nobody_else(limited, visitor, machine, addresses):
    own, statuses = own_address(visitor), []
    with ThreadPoolExecutor(1) as elsewhere:
        flood = elsewhere.submit(
            machine("web2").check_output, "python3 -c %s %s", FLOOD, addresses["balancer1"]
        )
        while not flood.done() or len(statuses) < 10:
            answer = visitor.get(PLACE)
            statuses.append(answer.status_code)
            assert answer.status_code != 200 or answer.json()["X-Forwarded-For"] == [own], answer.text
            time.sleep(0.1)
    assert set(statuses) == {200}, f"expected a visitor to meet no refusal, got {statuses}"
    met = json.loads(flood.result())
    assert set(met["statuses"]) == {"200", "429"}, f"expected pages and refusals alone, got {met}"
    # How many of the thousand depends on how long this machine takes to send them.
    assert met["statuses"]["429"] > 100, f"expected hundreds to be refused, got {met}"
    assert met["seen"] == [addresses["web2"]], f"expected the web hosts to see who floods, got {met}"


def test_http_leads_to_https(visitor):
    answer = visitor.get("http://whoami.test/a?b=c")
    assert (answer.status_code, answer.headers["Location"]) == (301, "https://whoami.test/a?b=c")
