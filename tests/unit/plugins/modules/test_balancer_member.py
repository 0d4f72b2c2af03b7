"""Drain a web host from a balancer and return it, with a stub of the balancer's service."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.decanter.stack.plugins.modules import balancer_member as member


class Failed(Exception):
    pass


def failed(msg: str, **_: Any) -> None:
    raise Failed(msg)


class Service:
    """A stub of decanter-balancer.service: its files, and its reaction to a reload."""

    def __init__(self, folder: Path) -> None:
        self.run, self.state = folder / "run", folder / "state"
        self.healthy = {site: {"web1": True, "web2": True} for site in ("a", "b")}
        self.running = True
        self.state.mkdir()
        for site in self.healthy:
            (self.run / site).mkdir(parents=True)
        hosts = [{"name": name, "address": "10.1.2.3", "port": 443} for name in ("web1", "web2")]
        self.configuration = folder / "balancer.json"
        self.configuration.write_text(json.dumps({"hosts": hosts, "sites": [{"name": "a"}, {"name": "b"}]}))
        self.reload()

    def reload(self) -> None:
        if not self.running:
            return
        sites: dict[str, Any] = {}
        for site, hosts in self.healthy.items():
            for name, healthy in hosts.items():
                inside, link = healthy and not (self.state / name).exists(), self.run / site / f"{name}.sock"
                link.unlink(missing_ok=True)
                if inside:
                    link.symlink_to(f"../{name}.sock")
                one = {"in": inside, "healthy": healthy, "fault": "" if healthy else "503 no"}
                sites.setdefault(site, {})[name] = one | {"checked": time.time()}
        (self.run / "state.json").write_text(json.dumps({"sites": sites}))

    def links(self) -> list[str]:
        return sorted(str(path.relative_to(self.run)) for path in self.run.glob("*/*.sock"))


@pytest.fixture
def service(tmp_path, monkeypatch) -> Service:
    one = Service(tmp_path)
    monkeypatch.setattr(member, "CONFIGURATION", one.configuration)
    monkeypatch.setattr(member, "RUN", one.run)
    monkeypatch.setattr(member, "STATE", one.state)
    monkeypatch.setattr(member, "reload_service", one.reload)
    monkeypatch.setattr(member.Balancer, "connections", lambda _: 0)
    return one


def run(action: Any, name: str = "web1", check: bool = False, **given: Any) -> dict[str, Any]:
    params = {"sites": None, "drain": 1, "timeout": 0} | given
    module = SimpleNamespace(params=params, check_mode=check, fail_json=failed)
    return action(module, member.Balancer(name))


def test_drain_removes_host_from_all_sites(service):
    assert run(member.take_out) == {"changed": True, "out": True, "left": 0}
    assert service.links() == ["a/web2.sock", "b/web2.sock"]
    assert (service.state / "web1").exists(), "expected a marker that outlives a reboot"
    assert not run(member.take_out)["changed"]


def test_drain_works_without_the_service(service):
    service.running = False
    run(member.take_out)
    assert service.links() == ["a/web2.sock", "b/web2.sock"]


def test_drained_host_is_returned(service):
    run(member.take_out)
    assert run(member.put_in) == {"changed": True, "out": False}
    assert len(service.links()) == 4 and not (service.state / "web1").exists()
    assert not run(member.put_in)["changed"]


def test_only_healthy_host_of_a_site_is_not_drained(service):
    service.healthy["b"]["web2"] = False
    service.reload()
    result = run(member.take_out)
    assert result == {"changed": False, "out": False, "because": "no other host is healthy for b"}
    assert "a/web1.sock" in service.links() and not (service.state / "web1").exists()
    assert run(member.take_out, "web2")["out"], "expected the unhealthy host to be drained"


def test_concurrent_drains_keep_one_host(service):
    service.running = False  # its state is outdated
    run(member.take_out, "web2")
    assert run(member.take_out)["because"] == "no other host is healthy for a, b"


def test_return_of_unhealthy_host_fails_with_reason(service):
    run(member.take_out)
    service.healthy["b"]["web1"] = False
    with pytest.raises(Failed) as failure:
        run(member.put_in)
    assert str(failure.value) == "web1: not healthy within 0 s. b: 503 no"
    # A deploy of another site does not depend on site b.
    assert run(member.put_in, sites=["a"]) == {"changed": False, "out": False}


def test_return_ignores_outdated_state(service):
    """Require a health check after the request, because the release has changed since the last one."""
    service.running = False
    with pytest.raises(Failed, match=r"is decanter-balancer\.service running"):
        run(member.put_in)


@pytest.mark.parametrize("action", [member.take_out, member.put_in])
def test_check_mode_changes_nothing(service, action):
    if action is member.put_in:
        run(member.take_out)
    before = service.links(), list(service.state.iterdir())
    assert run(action, check=True)["changed"]
    assert (service.links(), list(service.state.iterdir())) == before


def test_drain_waits_for_open_connections(service, monkeypatch):
    left = iter([2, 1, 0, 1, 0, 0])
    monkeypatch.setattr(member.Balancer, "connections", lambda _: next(left))
    assert run(member.take_out)["left"] == 0
    assert next(left, None) is None, "expected two checks, because a connection may open after the first"
    monkeypatch.setattr(member.Balancer, "connections", lambda _: 3)
    began = time.monotonic()
    assert run(member.take_out)["left"] == 3
    assert 1 <= time.monotonic() - began < 2, "expected a wait of one second"


def test_unknown_host_has_no_entry(service, monkeypatch):
    assert member.Balancer("web3").host == {}
    monkeypatch.setattr(member, "STATE", service.state / "none")
    assert member.Balancer("web1").host == {}, "expected no entry before the balancer has started"


def test_return_without_sites_skips_health_checks(service):
    for site in service.healthy:
        service.healthy[site]["web1"] = False
    run(member.take_out)
    assert run(member.put_in, sites=[]) == {"changed": True, "out": False}
    assert not (service.state / "web1").exists(), "expected no marker of a returned host"
