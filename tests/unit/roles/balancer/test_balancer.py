"""The web hosts of a balancer, which two failed health checks remove."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from balancer_program import SERVICE, SITE, WebHost, links, record


def test_all_hosts_are_in_after_a_boot(balancer, folders):
    one = balancer()
    assert links(folders) == {"web1", "web2"}
    assert (folders[0] / "site/web1.sock").readlink() == Path("../web1.sock")
    record(one, "web1", "502")
    assert links(folders) == {"web1", "web2"}, "expected no effect of one failure"


def test_two_failures_and_two_successes_change_the_state(balancer, folders, capsys):
    one = balancer()
    record(one, "web2", "")
    record(one, "web1", "", "502 Bad Gateway", "", "502 Bad Gateway")
    assert links(folders) == {"web1", "web2"}
    record(one, "web1", "503 no")
    assert links(folders) == {"web2"}
    record(one, "web1", "", "503 no", "")
    assert links(folders) == {"web2"}
    record(one, "web1", "")
    assert links(folders) == {"web1", "web2"}
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == ["site: web1 is out: 503 no", "site: web1 is in"], lines


def test_all_hosts_stay_in_if_no_host_is_healthy(balancer, folders, capsys):
    one = balancer()
    record(one, "web1", "503", "503")
    record(one, "web2", "503", "503")
    assert links(folders) == {"web1", "web2"}
    assert "site: web1 is in, because no host is healthy: 503" in capsys.readouterr().out
    record(one, "web2", "", "")
    assert links(folders) == {"web2"}, "expected only the healthy host"


def test_host_taken_out_by_an_operator_stays_out(balancer, folders):
    (folders[1] / "web1").touch()
    one = balancer()
    assert links(folders) == {"web2"}
    record(one, "web1", "", "", "")
    record(one, "web2", "503", "503", "503")
    assert links(folders) == {"web2"}, "expected web1 to stay out while its marker exists"
    (folders[1] / "web1").unlink()
    one.reload()
    assert links(folders) == {"web1"}


def test_marker_during_creation_of_a_link_removes_the_link(balancer, folders, monkeypatch):
    one = balancer()
    record(one, "web2", "")
    record(one, "web1", "503", "503", "")
    markers = iter([set(), {"web1"}])
    monkeypatch.setattr(one, "taken_out", lambda: next(markers, {"web1"}))
    record(one, "web1", "")
    assert links(folders) == {"web2"}


def test_restart_keeps_the_previous_state(balancer, folders, capsys):
    one = balancer()
    record(one, "web2", "")
    record(one, "web1", "503", "503")
    one.write_state()
    again = balancer()
    assert links(folders) == {"web2"}
    record(again, "web1", "")
    assert links(folders) == {"web1", "web2"}, "expected the first success to count at once"
    capsys.readouterr()
    balancer()
    assert capsys.readouterr().out == "", "expected no log line without a change"


def test_new_host_is_in_when_it_is_healthy(balancer, folders):
    balancer().write_state()
    one = balancer("web1", "web2", "web3")
    assert links(folders) == {"web1", "web2"}
    record(one, "web3", "")
    assert links(folders) == {"web1", "web2", "web3"}


def test_files_of_removed_hosts_and_sites_are_removed(balancer, folders):
    balancer("web1", "web2", sites=(SITE, SITE | {"name": "other"})).write_state()
    (folders[1] / "web2").touch()
    balancer("web1")
    assert links(folders) == {"web1"}
    assert sorted(path.name for path in folders[0].iterdir()) == ["site", "state.json"]
    assert list(folders[1].iterdir()) == [], "expected no marker: a new host may have the same name"


def test_service_records_failure_and_recovery(balancer, folders, tmp_path, capsys):
    """The complete service: a host fails and recovers, and state.json contains it."""
    failing, healthy = WebHost(tmp_path), WebHost(tmp_path)

    def state(name: str) -> dict[str, Any]:
        return json.loads((folders[0] / "state.json").read_text())["sites"]["site"][name]

    async def until(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.01)

    async def run() -> None:
        async with failing.listening() as first, healthy.listening() as second:
            one = balancer()
            for host, port in zip(one.configuration["hosts"], (first, second), strict=True):
                host["port"] = port
            serving = asyncio.create_task(one.serve())
            await until(lambda: (folders[0] / "state.json").exists() and state("web1")["checked"] > 0)
            failing.status = "503 Service Unavailable"
            await until(lambda: links(folders) == {"web2"} and not state("web1")["in"])
            assert state("web1")["fault"] == "503 Service Unavailable", state("web1")
            assert state("web2") | {"checked": 0} == {"in": True, "healthy": True, "fault": "", "checked": 0}
            failing.status = "200 OK"
            await until(lambda: links(folders) == {"web1", "web2"} and state("web1")["healthy"])
            serving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await serving

    asyncio.run(run())
    lines = capsys.readouterr().out.splitlines()[-2:]
    assert lines == ["site: web1 is out: 503 Service Unavailable", "site: web1 is in"], lines


def test_service_uses_nothing_newer_than_python_3_10():
    """Ubuntu 22.04 has Python 3.10."""
    compile(SERVICE.read_text(), SERVICE, "exec", dont_inherit=True)
    newer = ("asyncio.timeout", "TaskGroup", "datetime.UTC", "except*", "tomllib")
    found = [name for name in newer if name in SERVICE.read_text()]
    assert not found, f"expected nothing newer than Python 3.10, got {found}"
