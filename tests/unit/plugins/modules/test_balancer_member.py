"""A web host is taken out of a balancer and put back, as far as files tell."""

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
    """What decanter-balancer.service would have made, and what it does when it is asked to look."""

    def __init__(self, folder: Path) -> None:
        self.run, self.state = folder / "run", folder / "state"
        self.healthy = {site: {"web1": True, "web2": True} for site in ("a", "b")}
        self.answers = True
        self.state.mkdir()
        for site in self.healthy:
            (self.run / site).mkdir(parents=True)
        hosts = [{"name": name, "address": "10.1.2.3", "port": 443} for name in ("web1", "web2")]
        self.configuration = folder / "balancer.json"
        self.configuration.write_text(json.dumps({"hosts": hosts, "sites": [{"name": "a"}, {"name": "b"}]}))
        self.look()

    def look(self) -> None:
        if not self.answers:
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
    monkeypatch.setattr(member, "reload_service", one.look)
    monkeypatch.setattr(member.Balancer, "connections", lambda _: 0)
    return one


def do(what: Any, name: str = "web1", check: bool = False, **given: Any) -> dict[str, Any]:
    params = {"sites": None, "drain": 1, "timeout": 0} | given
    module = SimpleNamespace(params=params, check_mode=check, fail_json=failed)
    return what(module, member.Balancer(name))


def test_out_takes_it_out_of_every_site_at_once(service):
    assert do(member.take_out) == {"changed": True, "out": True, "left": 0}
    assert service.links() == ["a/web2.sock", "b/web2.sock"]
    assert (service.state / "web1").exists(), "expected a marker, for after a reboot"
    assert not do(member.take_out)["changed"]


def test_out_needs_no_service(service):
    service.answers = False
    do(member.take_out)
    assert service.links() == ["a/web2.sock", "b/web2.sock"]


def test_in_puts_it_back(service):
    do(member.take_out)
    assert do(member.put_in) == {"changed": True, "out": False}
    assert len(service.links()) == 4 and not (service.state / "web1").exists()
    assert not do(member.put_in)["changed"]


def test_the_only_healthy_host_of_a_site_is_left_in(service):
    service.healthy["b"]["web2"] = False
    service.look()
    result = do(member.take_out)
    assert result == {"changed": False, "out": False, "because": "no other host is healthy for b"}
    assert "a/web1.sock" in service.links() and not (service.state / "web1").exists()
    assert do(member.take_out, "web2")["out"], "expected the one that is ill to go"


def test_of_two_who_go_at_once_one_stays(service):
    service.answers = False  # it has not noticed yet
    do(member.take_out, "web2")
    assert do(member.take_out)["because"] == "no other host is healthy for a, b"


def test_in_fails_for_who_is_ill_and_says_why(service):
    do(member.take_out)
    service.healthy["b"]["web1"] = False
    with pytest.raises(Failed) as failure:
        do(member.put_in)
    assert str(failure.value) == "web1: not healthy within 0 s. b: 503 no"
    # Whoever releases another site has no part in it.
    assert do(member.put_in, sites=["a"]) == {"changed": False, "out": False}


def test_in_believes_nothing_that_is_old(service):
    """What was known before is no answer: the release has changed since."""
    service.answers = False
    with pytest.raises(Failed, match=r"is decanter-balancer\.service running"):
        do(member.put_in)


@pytest.mark.parametrize("what", [member.take_out, member.put_in])
def test_a_check_changes_nothing(service, what):
    if what is member.put_in:
        do(member.take_out)
    before = service.links(), list(service.state.iterdir())
    assert do(what, check=True)["changed"]
    assert (service.links(), list(service.state.iterdir())) == before


def test_what_was_begun_may_end(service, monkeypatch):
    left = iter([2, 1, 0, 1, 0, 0])
    monkeypatch.setattr(member.Balancer, "connections", lambda _: next(left))
    assert do(member.take_out)["left"] == 0
    assert next(left, None) is None, "expected it to look twice: one may come a moment later"
    monkeypatch.setattr(member.Balancer, "connections", lambda _: 3)
    began = time.monotonic()
    assert do(member.take_out)["left"] == 3
    assert 1 <= time.monotonic() - began < 2, "expected it to wait for a second"


def test_who_is_not_known_is_nobody_s_concern(service, monkeypatch):
    assert member.Balancer("web3").host == {}
    monkeypatch.setattr(member, "STATE", service.state / "none")
    assert member.Balancer("web1").host == {}, "expected no host of a balancer that never started"


def test_in_without_a_served_site_waits_for_none(service):
    for site in service.healthy:
        service.healthy[site]["web1"] = False
    do(member.take_out)
    assert do(member.put_in, sites=[]) == {"changed": True, "out": False}
    assert not (service.state / "web1").exists(), "expected no marker of a host that is in"
