"""Web hosts that leave and enter a balancer, by an operator or by health checks."""

from __future__ import annotations

import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from conftest import stored_posts, wait_until
from whoami_site import (
    MEMBER_PLAYBOOK,
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


@pytest.fixture
def set_member(inventory) -> Callable[[str, str], str]:
    """Take a web host `out`, or put it `in`, as a deploy does. Return the output."""

    def call(name: str, state: str, *more: str) -> str:
        arguments = ("--limit", name, "-e", f"member_state={state}", *more)
        process = run_playbook(str(MEMBER_PLAYBOOK), inventory, *arguments)
        assert process.returncode == 0, process.stdout + process.stderr
        return process.stdout

    return call


def test_member_out_and_in_loses_no_request(generate_load, set_member, get_host, active_members):
    served_by = {}
    with generate_load() as load:
        for name in ("web1", "web2") * 2:
            set_member(name, "out")
            start = time.time()
            time.sleep(2)
            served_by[name] = load.hosts(start, time.time())
            assert active_members() == {"web1", "web2"} - {name}
            set_member(name, "in")
    assert not load.lost, f"expected no lost request of {len(load.results)}, got {load.lost[:5]}"
    assert served_by == {"web1": {"web2"}, "web2": {"web1"}}, served_by
    sent, stored = [one.posted for one in load.results if one.posted], stored_posts(get_host, load.mark)
    assert sorted(stored) == sorted(sent), f"expected each of {len(sent)} posts once, got {len(stored)}"


def test_member_out_completes_slow_requests(generate_load, set_member, visitor, active_members):
    responses: list[Any] = []

    def request() -> None:
        responses.append(visitor.get(WHOAMI_URL, params={"seconds": 4}))

    threads = [threading.Thread(target=request) for _ in range(6)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    start = time.monotonic()
    set_member("web2", "out")
    took = time.monotonic() - start
    for thread in threads:
        thread.join()
    statuses = [response.status_code for response in responses]
    assert statuses == [200] * 6, statuses
    assert took > 2.5, f"expected web2 to drain for more than 2.5 s, got {took:.1f} s"
    set_member("web2", "in")


def test_last_member_stays_in(set_member, active_members):
    set_member("web1", "out")
    assert "changed=0" in set_member("web2", "out")
    assert active_members() == {"web2"}
    set_member("web1", "in")


def test_member_out_and_in_are_idempotent(set_member, active_members):
    assert "changed=1" in set_member("web2", "out", "--check")
    assert "web2" in active_members(), "expected no change in check mode"
    for state in ("out", "in"):
        assert "changed=1" in set_member("web2", state)
        assert "changed=0" in set_member("web2", state), f"expected no change by a second {state}"


@pytest.mark.alone
def test_unhealthy_member_is_out_until_it_is_healthy(host, get_host, generate_load, active_members):
    web2 = get_host("web2")
    units = web2.check_output("systemctl list-units --plain --no-legend 'whoami@*' | cut -d' ' -f1").split()
    with generate_load() as load:
        start = time.time()
        web2.check_output("systemctl stop " + " ".join(units))
        try:
            wait_until(lambda: active_members() == {"web1"}, 10)
            out = time.time()
            time.sleep(3)
            after = time.time()
        finally:
            web2.check_output("systemctl start " + " ".join(units))
        wait_until(lambda: active_members() == {"web1", "web2"}, 10)
        time.sleep(1)
    late = [one for one in load.lost if not start <= one.sent <= out]
    assert not late, f"expected lost requests only until web2 was out, got {late[:5]}"
    not_retried = [one for one in load.lost if not one.posted]
    assert not not_retried, f"expected GETs to be retried on web1, got {not_retried[:5]}"
    assert out - start < 6, f"expected web2 to be out within 6 s, got {out - start:.1f} s"
    assert load.hosts(out, after) == {"web1"}
    log = host.check_output("sudo journalctl -u haproxy -o cat --since @%s --no-pager", f"{start:.0f}")
    events = re.findall(r"Server whoami/(web\d is (?:DOWN|UP), reason: [^,]*, code: \d+)", log)
    assert events == [
        "web2 is DOWN, reason: Layer7 wrong status, code: 502",
        "web2 is UP, reason: Layer7 check passed, code: 200",
    ], log


@pytest.mark.alone
def test_killed_member_loses_only_requests_in_flight(podman, generate_load, get_host, active_members):
    with generate_load(connections=12) as load:
        killed = time.time()
        podman("kill", "web2")
        wait_until(lambda: active_members() == {"web1"}, 15)
        time.sleep(2)
        podman("start", "web2")
        wait_until(lambda: active_members() == {"web1", "web2"}, 60)
        back = time.time()
        wait_until(lambda: "web2" in load.hosts(back), 10)
    late = [one for one in load.lost if one.sent > killed + 0.5]
    assert not late, f"expected no lost request after the kill, got {late[:5]}"
    assert len(load.lost) <= 12, f"expected at most one lost request per connection, got {len(load.lost)}"
    slowest = max(one.received - one.sent for one in load.results if one.good)
    assert slowest < 8, f"expected responses within 8 s, got {slowest:.1f} s"
    sent = [one.posted for one in load.results if one.posted and one.status == 200]
    stored = stored_posts(get_host, load.mark)
    assert set(sent) <= set(stored) and len(stored) == len(set(stored)), "expected each post once"


def test_killed_haproxy_restarts(host, visitor):
    host.check_output("sudo systemctl kill --kill-who=main --signal=KILL haproxy")

    def is_served() -> bool:
        try:
            return visitor.get(WHOAMI_URL).status_code == 200
        except OSError:
            return False

    time.sleep(0.2)
    assert wait_until(is_served, 15) < 10
    # The new process sends a host few requests at first (balancer_slow_start).
    wait_until(lambda: {request_whoami(visitor)["host"] for _ in range(6)} == {"web1", "web2"})


@pytest.mark.parametrize("action", ["touch /etc/haproxy/haproxy.cfg; systemctl reload", "systemctl restart"])
def test_member_out_stays_out_after_new_process(host, set_member, visitor, active_members, action):
    set_member("web1", "out")
    host.check_output("sudo sh -c %s", f"{action} haproxy")
    assert active_members() == {"web2"}
    assert {request_whoami(visitor)["host"] for _ in range(6)} == {"web2"}
    set_member("web1", "in")


def test_member_out_stays_out_after_reboot_of_balancer(host, podman, set_member, visitor, active_members):
    set_member("web1", "out")
    podman("restart", "balancer1", "--time=20")

    def is_served() -> bool:
        try:
            return visitor.get(WHOAMI_URL).status_code == 200
        except OSError:
            return False

    wait_until(is_served, 40)
    assert {request_whoami(visitor)["host"] for _ in range(6)} == {"web2"}
    assert active_members() == {"web2"}
    set_member("web1", "in")
    units = ("haproxy", "decanter-challenges")
    assert [host.service(unit).is_running for unit in units] == [True, True]


def test_units_are_valid_and_sandboxed(host):
    units = {"decanter-challenges.service": 1.1, "haproxy.service": 2.5}
    result = host.run(f"sudo systemd-analyze verify --man=no haproxy.socket {' '.join(units)}")
    assert (result.rc, result.stderr.strip()) == (0, ""), result.stderr
    for unit, highest in units.items():
        exposure = host.check_output(f"sudo systemd-analyze security --no-pager {unit} | tail -1")
        assert float(re.search(r": ([\d.]+)", exposure)[1]) <= highest, exposure


def test_check_mode_of_converged_hosts_changes_nothing(inventory):
    process = run_playbook("site.yml", inventory, "--check", "--diff")
    changed = re.findall(r"changed=(\d+)", process.stdout)
    assert process.returncode == 0 and changed == ["0"] * 3, process.stdout + process.stderr


def test_removed_web_host_leaves_no_trace_on_balancer(host, inventory, tmp_path, visitor, active_members):
    smaller = tmp_path / "inventory"
    shutil.copytree(inventory, smaller)
    hosts = yaml.safe_load((smaller / "hosts.yml").read_text())
    del hosts["all"]["hosts"]["web2"], hosts["all"]["children"]["web"]["hosts"]["web2"]
    (smaller / "hosts.yml").write_text(yaml.safe_dump(hosts))
    only = ("--limit", "balancer1", "--tags", "balancer,nginx")
    process = run_playbook("site.yml", str(smaller), *only)
    assert process.returncode == 0, process.stdout + process.stderr
    traces = host.run("sudo grep -rl web2 /etc/haproxy /var/lib/haproxy")
    assert traces.stdout == "", f"expected no trace of web2, got {traces.stdout}"
    assert {request_whoami(visitor)["host"] for _ in range(4)} == {"web1"}
    # The complete inventory adds web2 again.
    process = run_playbook("site.yml", inventory, *only)
    assert process.returncode == 0, process.stdout + process.stderr
    wait_until(lambda: active_members() == {"web1", "web2"})


@pytest.fixture
def passthrough(inventory) -> Iterator[Callable[..., Any]]:
    """Set balancer_tls_mode to passthrough for a test. Return a function that repeats the run."""
    converge = ("site.yml", inventory, "--tags", "firewall,balancer,certbot,nginx")
    process = run_playbook(*converge, "-e", "balancer_tls_mode=passthrough")
    assert process.returncode == 0, process.stdout + process.stderr
    yield lambda: run_playbook(*converge, "-e", "balancer_tls_mode=passthrough")
    process = run_playbook(*converge)
    assert process.returncode == 0, process.stdout + process.stderr


def test_passthrough_keeps_tls_and_client_address(
    passthrough, visitor, generate_load, set_member, servers, get_host
):
    repeated = passthrough()
    changed = set(re.findall(r"changed=(\d+)", repeated.stdout))
    assert changed == {"0"}, f"expected the second run to change nothing, got {repeated.stdout}"
    assert_client_address_is_forwarded(visitor)
    assert visitor.get("http://whoami.test/").status_code == 301
    with pytest.raises(OSError):
        visitor.handshake("unknown.test")
    # The web host's own certificate is served.
    with visitor.handshake("whoami.test") as connection:
        serial = connection.getpeercert()["serialNumber"].lower()
    own = [
        get_host(name).check_output("openssl x509 -noout -serial -in /etc/decanter/tls/whoami/fullchain.pem")
        for name in ("web1", "web2")
    ]
    assert serial.lstrip("0") in {one.split("=")[1].lower().lstrip("0") for one in own}
    # The balancer forwarded the CA's HTTP-01 requests to each web host.
    certificates = {name: stored_certificate(get_host, name) for name in ("web1", "web2")}
    assert all(map(is_issued_by_pebble, certificates.values())), f"expected two of Pebble, got {certificates}"
    keys = [one.public_key().public_numbers() for one in certificates.values()]
    assert keys[0] != keys[1], "expected a different key on each web host"
    wait_until(lambda: served_certificate(visitor) in certificates.values(), 5)
    with generate_load() as load:
        for name in ("web1", "web2"):
            set_member(name, "out", "-e", "balancer_drain_seconds=1")
            set_member(name, "in")
    assert not load.lost, f"expected no lost request of {len(load.results)}, got {load.lost[:5]}"
    checks = {name: row["check_status"] for name, row in servers().items()}
    assert checks == {"web1": "L7OK", "web2": "L7OK"}, checks
