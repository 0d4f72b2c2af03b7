"""Web hosts that a balancer removes and adds, by an operator or by failed health checks."""

from __future__ import annotations

import json
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from conftest import RUN, posts, until
from whoami_site import MEMBER, PLACE, assert_address_survives, by_pebble, held, seen, shown

from tests.hosts.fixtures.lab import run_playbook

testinfra_hosts = ["ansible://balancer1"]
pytestmark = pytest.mark.usefixtures("whole")


@pytest.fixture
def member(inventory) -> Callable[[str, str], str]:
    """Take a web host out, or put it back, as a deploy does; what the run said."""

    def call(name: str, state: str, *more: str) -> str:
        arguments = ("--limit", name, "-e", f"to_be={state}", *more)
        done = run_playbook(str(MEMBER), inventory, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return call


def test_taken_out_and_put_back_under_load(crowd, member, machine, inside):
    taken = {}
    with crowd() as visits:
        for name in ("web1", "web2") * 2:
            member(name, "out")
            began = time.time()
            time.sleep(2)
            taken[name] = visits.hosts(began, time.time())
            assert inside() == {"web1", "web2"} - {name}
            member(name, "in")
    assert not visits.lost, f"expected none of {len(visits.answers)} to be lost, got {visits.lost[:5]}"
    assert taken == {"web1": {"web2"}, "web2": {"web1"}}, taken
    posted, kept = [one.posted for one in visits.answers if one.posted], posts(machine, visits.mark)
    assert sorted(kept) == sorted(posted), f"expected each of {len(posted)} posts once, got {len(kept)}"


def test_what_was_begun_ends_before_a_host_is_out(crowd, member, visitor, inside):
    """A request that takes four seconds is answered by the host that was taken out meanwhile."""
    slow: list[Any] = []

    def ask() -> None:
        slow.append(visitor.get(PLACE, params={"seconds": 4}))

    askers = [threading.Thread(target=ask) for _ in range(6)]
    for asker in askers:
        asker.start()
    time.sleep(0.5)
    began = time.monotonic()
    member("web2", "out")
    took = time.monotonic() - began
    for asker in askers:
        asker.join()
    statuses = [answer.status_code for answer in slow]
    assert statuses == [200] * 6, statuses
    assert took > 2.5, f"expected it to wait for what was begun, got {took:.1f} s"
    member("web2", "in")


def test_the_last_host_is_left_in(member, inside):
    member("web1", "out")
    assert "changed=0" in member("web2", "out")
    assert inside() == {"web2"}
    member("web1", "in")


def test_out_and_in_change_once(member, inside):
    assert "changed=1" in member("web2", "out", "--check")
    assert "web2" in inside(), "expected a check to change nothing"
    for state in ("out", "in"):
        assert "changed=1" in member("web2", state)
        assert "changed=0" in member("web2", state), f"expected the second {state} to change nothing"


@pytest.mark.alone
def test_an_ill_host_is_taken_out_without_anybody_s_help(host, machine, crowd, inside):
    """Its application is stopped, and its nginx has nothing to answer with."""
    web2 = machine("web2")
    units = web2.check_output("systemctl list-units --plain --no-legend 'whoami@*' | cut -d' ' -f1").split()
    with crowd() as visits:
        began = time.time()
        web2.check_output("systemctl stop " + " ".join(units))
        try:
            until(lambda: inside() == {"web1"}, 10)
            out = time.time()
            time.sleep(3)
            after = time.time()
        finally:
            web2.check_output("systemctl start " + " ".join(units))
        until(lambda: inside() == {"web1", "web2"}, 10)
        time.sleep(1)
    late = [one for one in visits.lost if not began <= one.asked <= out]
    assert not late, f"expected nothing to be lost but until it was out, got {late[:5]}"
    assert out - began < 6, f"expected it to be out soon, got {out - began:.1f} s"
    assert visits.hosts(out, after) == {"web1"}
    said = host.check_output(
        "sudo journalctl -u decanter-balancer -o cat --since @%s --no-pager", f"{began:.0f}"
    )
    assert said.splitlines() == ["whoami: web2 is out: 502 Bad Gateway", "whoami: web2 is in"], said


@pytest.mark.alone
def test_a_host_that_dies_costs_what_was_in_flight_on_it(podman, crowd, machine, inside):
    with crowd(connections=12) as visits:
        killed = time.time()
        podman("kill", "web2")
        until(lambda: inside() == {"web1"}, 15)
        time.sleep(2)
        podman("start", "web2")
        until(lambda: inside() == {"web1", "web2"}, 60)
        back = time.time()
        until(lambda: "web2" in visits.hosts(back), 10)
    late = [one for one in visits.lost if one.asked > killed + 0.5]
    assert not late, f"expected nothing to be lost that was asked later, got {late[:5]}"
    assert len(visits.lost) <= 12, f"expected one a visitor at most, got {len(visits.lost)}"
    slowest = max(one.answered - one.asked for one in visits.answers if one.good)
    assert slowest < 8, f"expected nobody to wait for the dead for long, got {slowest:.1f} s"
    posted = [one.posted for one in visits.answers if one.posted and one.status == 200]
    kept = posts(machine, visits.mark)
    assert set(posted) <= set(kept) and len(kept) == len(set(kept)), "expected each post once"


def test_a_killed_nginx_comes_back(host, visitor):
    host.check_output("sudo systemctl kill --kill-who=main --signal=KILL nginx")

    def answers() -> bool:
        try:
            return visitor.get(PLACE).status_code == 200
        except OSError:
            return False

    time.sleep(0.2)
    assert until(answers, 15) < 10
    assert {seen(visitor)["host"] for _ in range(6)} == {"web1", "web2"}


def test_visitors_go_on_without_who_asks_for_health(host, visitor, inside):
    host.check_output("sudo systemctl stop decanter-balancer")
    try:
        assert {seen(visitor)["host"] for _ in range(6)} == {"web1", "web2"}
    finally:
        host.check_output("sudo systemctl start decanter-balancer")
    assert inside() == {"web1", "web2"}, "expected nobody to go out while it was started anew"


def test_a_reboot_brings_everything_back_but_who_was_taken_out(host, podman, member, visitor, inside):
    member("web1", "out")
    podman("restart", "balancer1", "--time=20")

    def answers() -> bool:
        try:
            return visitor.get(PLACE).status_code == 200
        except OSError:
            return False

    until(answers, 40)
    assert {seen(visitor)["host"] for _ in range(6)} == {"web2"}
    assert inside() == {"web2"}
    member("web1", "in")
    units = ("nginx", "decanter-balancer")
    assert [host.service(unit).is_running for unit in units] == [True, True]


def test_units_are_taken_and_confined(host):
    said = host.run("sudo systemd-analyze verify --man=no decanter-balancer.service nginx.service")
    assert (said.rc, said.stderr.strip()) == (0, ""), said.stderr
    said = host.check_output("sudo systemd-analyze security --no-pager decanter-balancer.service | tail -1")
    assert float(re.search(r": ([\d.]+)", said)[1]) <= 1.1, said


def test_a_check_of_finished_hosts_finds_nothing_to_do(inventory):
    done = run_playbook("site.yml", inventory, "--check", "--diff")
    changed = re.findall(r"changed=(\d+)", done.stdout)
    assert done.returncode == 0 and changed == ["0"] * 3, done.stdout + done.stderr


def test_nothing_is_left_of_a_web_host_that_is_gone(host, inventory, tmp_path, visitor, inside):
    smaller = tmp_path / "inventory"
    shutil.copytree(inventory, smaller)
    hosts = yaml.safe_load((smaller / "hosts.yml").read_text())
    del hosts["all"]["hosts"]["web2"], hosts["all"]["children"]["web"]["hosts"]["web2"]
    (smaller / "hosts.yml").write_text(yaml.safe_dump(hosts))
    only = ("--limit", "balancer1", "--tags", "balancer,nginx")
    done = run_playbook("site.yml", str(smaller), *only)
    assert done.returncode == 0, done.stdout + done.stderr
    left = host.run(
        f"sudo grep -rl web2 /etc/nginx /etc/decanter {RUN}/state.json; sudo find {RUN} -name 'web2*'"
    )
    assert left.stdout == "", f"expected nothing of it, got {left.stdout}"
    assert {seen(visitor)["host"] for _ in range(4)} == {"web1"}
    # And it is back by one line of the inventory.
    done = run_playbook("site.yml", inventory, *only)
    assert done.returncode == 0, done.stdout + done.stderr
    until(lambda: inside() == {"web1", "web2"})


@pytest.fixture
def passing(inventory) -> Iterator[Callable[..., Any]]:
    """TLS passes through the balancer, and ends there again afterwards."""
    converge = ("site.yml", inventory, "--tags", "firewall,balancer,certbot,nginx")
    done = run_playbook(*converge, "-e", "balancer_tls_mode=passthrough")
    assert done.returncode == 0, done.stdout + done.stderr
    yield lambda: run_playbook(*converge, "-e", "balancer_tls_mode=passthrough")
    done = run_playbook(*converge)
    assert done.returncode == 0, done.stdout + done.stderr


def test_tls_passes_through(passing, visitor, crowd, member, host, machine):
    again = passing()
    changed = set(re.findall(r"changed=(\d+)", again.stdout))
    assert changed == {"0"}, f"expected the second run to change nothing, got {again.stdout}"
    assert_address_survives(visitor)
    assert visitor.get("http://whoami.test/").status_code == 301
    with pytest.raises(OSError):
        visitor.handshake("unknown.test")
    # The certificate is the web host's own.
    with visitor.handshake("whoami.test") as connection:
        serial = connection.getpeercert()["serialNumber"].lower()
    own = [
        machine(name).check_output("openssl x509 -noout -serial -in /etc/decanter/tls/whoami/fullchain.pem")
        for name in ("web1", "web2")
    ]
    assert serial.lstrip("0") in {one.split("=")[1].lower().lstrip("0") for one in own}
    # An ACME server has asked the balancer, which has no proof, and the balancer each of them.
    made = {name: held(machine, name) for name in ("web1", "web2")}
    assert all(map(by_pebble, made.values())), f"expected both to have one, got {made}"
    keys = [one.public_key().public_numbers() for one in made.values()]
    assert keys[0] != keys[1], "expected each to have a key of its own"
    until(lambda: shown(visitor) in made.values(), 5)
    with crowd() as visits:
        for name in ("web1", "web2"):
            member(name, "out", "-e", "balancer_drain_seconds=1")
            member(name, "in")
    assert not visits.lost, f"expected none of {len(visits.answers)} to be lost, got {visits.lost[:5]}"
    state = json.loads(host.check_output(f"sudo cat {RUN}/state.json"))
    assert {name: one["fault"] for name, one in state["sites"]["whoami"].items()} == {"web1": "", "web2": ""}
