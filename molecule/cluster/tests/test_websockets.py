"""WebSockets through the balancer: a drained web host, a reload of the balancer, deploy and rollback."""

from __future__ import annotations

import time

import pytest
from conftest import WEB, add_comment, assert_succeeded
from whoami_site import MEMBER_PLAYBOOK

from tests.hosts.fixtures.lab import run_playbook
from tests.hosts.fixtures.websocket_clients import Endpoint, WebSocketClients

testinfra_hosts = ["ansible://balancer1"]
pytestmark = [pytest.mark.usefixtures("both_hosts_active"), pytest.mark.alone]

CLIENTS = 60
# The grace period of 10 s, the end of gunicorn's master 5 s later, and a new connection on a busy machine.
RECONNECTED = 60


def test_websockets_outlive_drain_deploy_and_rollback(
    host, visitor, inventory, generate_load, source, run, live
):
    (first,) = set(live())
    endpoint = Endpoint("whoami.test")
    with (
        WebSocketClients(visitor.endpoint(443), visitor.ca, {endpoint: CLIENTS}) as clients,
        generate_load() as load,
    ):
        clients.follow({endpoint.name: first}, RECONNECTED)
        assert {one.release.split()[0] for one in clients.open} == set(WEB), "expected clients on both hosts"

        opened = len(clients.connections)
        for state in ("out", "in"):
            arguments = ("--limit", "web1", "-e", f"member_state={state}", "-e", "balancer_drain_seconds=2")
            assert_succeeded(run_playbook(str(MEMBER_PLAYBOOK), inventory, *arguments))
        host.check_output("sudo sh -c %s", "touch /etc/haproxy/haproxy.cfg && systemctl reload haproxy")
        time.sleep(2)
        kept = opened == len(clients.connections) and len(clients.open) == CLIENTS
        assert kept, f"expected the {CLIENTS} WebSockets to stay open, got {len(clients.open)} open"

        add_comment(source)
        assert_succeeded(run("deploy.yml", "-e", "site=whoami"))
        (second,) = set(live())
        assert second != first, f"expected another release than {first}"
        clients.follow({endpoint.name: second}, RECONNECTED)
        assert_succeeded(run("rollback.yml", "-e", "site=whoami", "-e", f"to={first}"))
        assert set(live()) == {first}, f"expected {first} to be live again, got {live()}"
        clients.follow({endpoint.name: first}, RECONNECTED)
    assert not clients.failures, f"expected no failed handshake, got {clients.failures[:5]}"
    assert len(load.results) > 400 and not load.lost, (
        f"expected no lost request of {len(load.results)}, got {load.lost[:5]}"
    )
