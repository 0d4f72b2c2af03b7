"""Reloads and restarts of a balancer, and exchanges of certificates, while clients send requests."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography import x509

testinfra_hosts = ["ansible://balancer1"]
pytestmark = [pytest.mark.usefixtures("both_hosts_active"), pytest.mark.alone]

FOLDER = "/etc/decanter/tls/whoami"


@pytest.fixture
def workers(host) -> Callable[[], list[str]]:
    """Return the ids of HAProxy's processes, except the master's."""
    return lambda: host.check_output("pgrep --parent $(systemctl show -P MainPID haproxy)").split()


@pytest.fixture
def own_certificate(host) -> Iterator[str]:
    """Replace the certificate of whoami. Yield the command that makes HAProxy read it; restore it later."""
    command = "sudo openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 9"
    host.check_output(f"sudo cp --archive {FOLDER} {FOLDER}.kept")
    host.check_output(
        f"{command} -subj /CN=exchanged.test -keyout {FOLDER}/privkey.pem -out {FOLDER}/fullchain.pem"
    )
    yield "sudo systemctl reload haproxy"
    host.check_output(f"sudo rm -r {FOLDER} && sudo mv {FOLDER}.kept {FOLDER}")
    host.check_output("sudo systemctl reload haproxy")


def certificate_name(visitor: Any) -> str:
    context = ssl._create_unverified_context()
    with (
        socket.create_connection(visitor.endpoint(443), 5) as plain,
        context.wrap_socket(plain, server_hostname="whoami.test") as connection,
    ):
        certificate = x509.load_der_x509_certificate(connection.getpeercert(True))
    return certificate.subject.rfc4514_string()


@pytest.mark.parametrize(
    "action", ["touch /etc/haproxy/haproxy.cfg && systemctl reload haproxy", "systemctl restart haproxy"]
)
def test_new_process_loses_no_request(host, generate_load, workers, action):
    slowest = []
    with generate_load(connections=24) as load:
        for _ in range(5):
            before, start = set(workers()), time.time()
            host.check_output("sudo sh -c %s", action)
            assert set(workers()) - before, f"expected a new process, got {before} again"
            time.sleep(3)
            late = [one.received - one.sent for one in load.results if one.sent > start - 1]
            slowest.append(round(max(late), 1))
    print(f"{action}: the slowest response of each time took {slowest} s")
    assert len(load.results) > 500 and not load.lost, (
        f"expected no lost request of {len(load.results)}, got {load.lost[:5]}"
    )
    assert max(slowest) < 20, f"expected responses within 20 s, got {slowest}"


def test_certificate_is_exchanged_in_the_running_process(
    host, generate_load, workers, own_certificate, visitor
):
    before = workers()
    with generate_load() as load:
        host.check_output(own_certificate)
        assert certificate_name(visitor) == "CN=exchanged.test"
        time.sleep(1)
    assert workers() == before, f"expected the process {before}, got {workers()}"
    assert not load.lost, f"expected no lost request of {len(load.results)}, got {load.lost[:5]}"


def test_rejected_configuration_keeps_the_process(host, workers, visitor):
    before = workers()
    host.check_output("sudo sh -c 'echo nonsense > /etc/haproxy/sites/zz.cfg'")
    try:
        result = host.run("sudo systemctl reload haproxy")
        assert result.rc != 0, "expected a failed reload"
        log = host.check_output("sudo journalctl -u haproxy -n 20 -o cat --no-pager")
        assert "zz.cfg" in log, f"expected the file with the error, got {log}"
        assert workers() == before, f"expected the process {before}, got {workers()}"
        assert visitor.get("https://whoami.test/").status_code == 200
    finally:
        host.check_output("sudo rm /etc/haproxy/sites/zz.cfg && sudo systemctl reload haproxy")
