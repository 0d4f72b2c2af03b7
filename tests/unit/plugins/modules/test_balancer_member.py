"""Drain a web host from a balancer and return it, with a stub of HAProxy."""

from __future__ import annotations

import itertools
import time
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.decanter.stack.plugins.module_utils.shared import haproxy
from ansible_collections.decanter.stack.plugins.modules import balancer_member as member

MAINT, DRAIN = "1", "8"


class Failed(Exception):
    pass


def failed(msg: str, **_: Any) -> None:
    raise Failed(msg)


class Haproxy:
    """A stub of HAProxy: two sites on two web hosts, with `rise 2` and `fall 2`."""

    def __init__(self) -> None:
        self.commands: list[str] = []
        self.saved: list[list[tuple[str, str, str]]] = []
        self.healthy = {(site, host): True for site in ("a", "b") for host in ("web1", "web2")}
        self.sessions = itertools.repeat(0)
        backends = [f"{site}{kind}" for site in ("a", "b") for kind in ("", ".once", ".unchecked")]
        self.rows = {
            (backend, host): {
                **{"pxname": backend, "svname": host, "srv_admin_state": "0", "srv_op_state": "2"},
                **{"srv_check_health": "3", "check_rise": "2", "check_fall": "2"},
                **{"check_desc": "Layer7 check passed", "check_code": "200", "last_chk": ""},
            }
            for backend in backends
            for host in ("web1", "web2")
        }

    def servers(self) -> list[dict[str, str]]:
        left = str(next(self.sessions))
        for (backend, host), row in self.rows.items():
            row["scur"] = left if backend == "a" and host == "web1" else "0"
            if "." in backend or row["srv_admin_state"] == MAINT:
                continue
            good = self.healthy[backend, host]
            row["srv_op_state"], row["srv_check_health"] = ("2", "3") if good else ("0", "0")
            if not good:
                row |= {
                    "check_desc": "HTTP status check returned code",
                    "check_code": "503",
                    "last_chk": "no",
                }
        return [dict(row) for row in self.rows.values()]

    def change(self, command: str) -> None:
        self.commands.append(command)
        *_, server, _, state = command.split()
        backend, host = server.split("/")
        assert not backend.endswith(".once"), f"expected no command for a server that tracks, got {command}"
        admin = {"maint": MAINT, "drain": DRAIN, "ready": "0"}[state]
        self.rows[backend, host]["srv_admin_state"] = admin
        if f"{backend}.once" in {name for name, _ in self.rows}:
            self.rows[f"{backend}.once", host]["srv_admin_state"] = admin

    def save_state(self) -> None:
        self.saved.append([(*key, row["srv_admin_state"]) for key, row in self.rows.items()])

    def out(self) -> set[tuple[str, str]]:
        return {key for key, row in self.rows.items() if row["srv_admin_state"] != "0"}


@pytest.fixture
def stub(tmp_path, monkeypatch) -> Haproxy:
    one = Haproxy()
    monkeypatch.setattr(member, "LOCK", tmp_path / "lock")
    for function in (one.servers, one.change, one.save_state):
        monkeypatch.setattr(haproxy, function.__name__, function)
    return one


def run(action: Any, name: str = "web1", check: bool = False, **given: Any) -> dict[str, Any]:
    params = {"sites": None, "drain": 1, "timeout": 0} | given
    module = SimpleNamespace(params=params, check_mode=check, fail_json=failed)
    return action(module, member.Balancer(name))


def servers_of(host: str) -> set[tuple[str, str]]:
    return {(f"{site}{kind}", host) for site in ("a", "b") for kind in ("", ".once", ".unchecked")}


def test_drain_removes_host_from_all_sites(stub):
    assert run(member.take_out) == {"changed": True, "out": True, "left": 0}
    assert stub.out() == servers_of("web1")
    assert len(stub.saved) == 1, "expected a state file that outlives a reboot"
    assert not run(member.take_out)["changed"]


def test_drained_host_is_returned(stub):
    run(member.take_out)
    assert run(member.put_in) == {"changed": True, "out": False}
    assert stub.out() == set() and {state for *_, state in stub.saved[-1]} == {"0"}
    assert not run(member.put_in)["changed"]


def test_only_healthy_host_of_a_site_is_not_drained(stub):
    stub.healthy["b", "web2"] = False
    result = run(member.take_out)
    assert result == {"changed": False, "out": False, "because": "no other host is healthy for b"}
    assert stub.commands == [], f"expected no change, got {stub.commands}"
    assert run(member.take_out, "web2")["out"], "expected the unhealthy host to be drained"


def test_concurrent_drains_keep_one_host(stub):
    run(member.take_out, "web2")
    assert run(member.take_out)["because"] == "no other host is healthy for a, b"


def test_return_of_unhealthy_host_fails_with_reason(stub):
    run(member.take_out)
    stub.healthy["b", "web1"] = False
    with pytest.raises(Failed) as failure:
        run(member.put_in)
    expected = "web1: not healthy within 0 s. b: HTTP status check returned code 503 no"
    assert str(failure.value) == expected, failure.value
    assert stub.out() == set(), "expected HAProxy to send requests as soon as the host is healthy"
    # A deploy of another site does not depend on site b.
    assert run(member.put_in, sites=["a"]) == {"changed": False, "out": False}


def test_return_requires_a_check_after_the_request(stub, monkeypatch):
    """The release has changed since the last check, so HAProxy starts the checks again."""
    run(member.take_out)
    monkeypatch.setattr(stub, "healthy", dict.fromkeys(stub.healthy, True))
    servers = stub.servers

    def unchecked() -> list[dict[str, str]]:
        return [row | {"srv_check_health": "2"} for row in servers()]

    monkeypatch.setattr(haproxy, "servers", unchecked)
    with pytest.raises(Failed, match="a: no health check has succeeded yet"):
        run(member.put_in)
    states = [command.split()[-1] for command in stub.commands if "a/web1" in command]
    assert states == ["maint", "maint", "drain", "ready"], states


@pytest.mark.parametrize("action", [member.take_out, member.put_in])
def test_check_mode_changes_nothing(stub, action):
    if action is member.put_in:
        run(member.take_out)
    before = stub.out(), len(stub.commands)
    assert run(action, check=True)["changed"]
    assert (stub.out(), len(stub.commands)) == before


def test_drain_waits_for_requests(stub, monkeypatch):
    # take_out reads the servers three times before the drain.
    stub.sessions = iter([9, 9, 9, 2, 1, 0, 1, 0, 0])
    assert run(member.take_out)["left"] == 0
    assert next(stub.sessions, None) is None, "expected two checks, because a request may start later"
    stub.sessions = itertools.repeat(3)
    began = time.monotonic()
    assert run(member.take_out)["left"] == 3
    assert 1 <= time.monotonic() - began < 2, "expected a wait of one second"


def test_return_without_sites_skips_health_checks(stub):
    run(member.take_out)
    for site in ("a", "b"):
        stub.healthy[site, "web1"] = False
    assert run(member.put_in, sites=[]) == {"changed": True, "out": False}
    assert stub.out() == set(), "expected no drained server of a returned host"
