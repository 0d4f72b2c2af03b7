"""The web hosts of a balancer, which two failed health checks remove."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from balancer_program import SERVICE, SITE, WebHost, links, told


def test_after_a_boot_all_are_in(balancer, folders):
    one = balancer()
    assert links(folders) == {"web1", "web2"}
    assert (folders[0] / "site/web1.sock").readlink() == Path("../web1.sock")
    told(one, "web1", "502")
    assert links(folders) == {"web1", "web2"}, "expected one failure to be forgiven"


def test_two_failures_take_out_and_two_successes_put_in(balancer, folders, capsys):
    one = balancer()
    told(one, "web2", "")
    told(one, "web1", "", "502 Bad Gateway", "", "502 Bad Gateway")
    assert links(folders) == {"web1", "web2"}
    told(one, "web1", "503 no")
    assert links(folders) == {"web2"}
    told(one, "web1", "", "503 no", "")
    assert links(folders) == {"web2"}
    told(one, "web1", "")
    assert links(folders) == {"web1", "web2"}
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == ["site: web1 is out: 503 no", "site: web1 is in"], lines


def test_all_stay_in_when_nobody_is_healthy(balancer, folders, capsys):
    one = balancer()
    told(one, "web1", "503", "503")
    told(one, "web2", "503", "503")
    assert links(folders) == {"web1", "web2"}
    assert "site: web1 is in, as nobody is healthy: 503" in capsys.readouterr().out
    told(one, "web2", "", "")
    assert links(folders) == {"web2"}, "expected the healthy one alone as soon as there is one"


def test_who_was_taken_out_stays_out(balancer, folders):
    (folders[1] / "web1").touch()
    one = balancer()
    assert links(folders) == {"web2"}
    told(one, "web1", "", "", "")
    told(one, "web2", "503", "503", "503")
    assert links(folders) == {"web2"}, "expected nobody to be put in against an operator's will"
    (folders[1] / "web1").unlink()
    one.look()
    assert links(folders) == {"web1"}


def test_a_marker_that_comes_while_a_link_is_made_wins(balancer, folders, monkeypatch):
    one = balancer()
    told(one, "web2", "")
    told(one, "web1", "503", "503", "")
    seen = iter([set(), {"web1"}])
    monkeypatch.setattr(one, "taken_out", lambda: next(seen, {"web1"}))
    told(one, "web1", "")
    assert links(folders) == {"web2"}


def test_started_anew_it_begins_with_what_was(balancer, folders, capsys):
    one = balancer()
    told(one, "web2", "")
    told(one, "web1", "503", "503")
    one.write()
    again = balancer()
    assert links(folders) == {"web2"}
    told(again, "web1", "")
    assert links(folders) == {"web1", "web2"}, "expected the first success to count at once"
    capsys.readouterr()
    balancer()
    assert capsys.readouterr().out == "", "expected a start with nothing new to say nothing"


def test_a_new_host_is_in_when_it_is_healthy(balancer, folders):
    balancer().write()
    one = balancer("web1", "web2", "web3")
    assert links(folders) == {"web1", "web2"}
    told(one, "web3", "")
    assert links(folders) == {"web1", "web2", "web3"}


def test_nothing_is_left_of_hosts_and_sites_that_are_gone(balancer, folders):
    balancer("web1", "web2", sites=(SITE, SITE | {"name": "other"})).write()
    (folders[1] / "web2").touch()
    balancer("web1")
    assert links(folders) == {"web1"}
    assert sorted(path.name for path in folders[0].iterdir()) == ["site", "state.json"]
    assert list(folders[1].iterdir()) == [], "expected the marker to go: the name may come again"


def test_it_finds_out_by_itself_and_tells(balancer, folders, tmp_path, capsys):
    """All of it at work: a host falls ill and recovers; state.json says so."""
    ill, well = WebHost(tmp_path), WebHost(tmp_path)

    def state(name: str) -> dict[str, Any]:
        return json.loads((folders[0] / "state.json").read_text())["sites"]["site"][name]

    async def until(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.01)

    async def run() -> None:
        async with ill.listening() as first, well.listening() as second:
            one = balancer()
            for host, port in zip(one.configuration["hosts"], (first, second), strict=True):
                host["port"] = port
            serving = asyncio.create_task(one.serve())
            await until(lambda: (folders[0] / "state.json").exists() and state("web1")["checked"] > 0)
            ill.answer = "503 Service Unavailable"
            await until(lambda: links(folders) == {"web2"} and not state("web1")["in"])
            assert state("web1")["fault"] == "503 Service Unavailable", state("web1")
            assert state("web2") | {"checked": 0} == {"in": True, "healthy": True, "fault": "", "checked": 0}
            ill.answer = "200 OK"
            await until(lambda: links(folders) == {"web1", "web2"} and state("web1")["healthy"])
            serving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await serving

    asyncio.run(run())
    lines = capsys.readouterr().out.splitlines()[-2:]
    assert lines == ["site: web1 is out: 503 Service Unavailable", "site: web1 is in"], lines


def test_it_runs_with_the_oldest_python():
    """Nothing of Python 3.11 or newer: Ubuntu 22.04 has 3.10."""
    compile(SERVICE.read_text(), SERVICE, "exec", dont_inherit=True)
    newer = ("asyncio.timeout", "TaskGroup", "datetime.UTC", "except*", "tomllib")
    found = [name for name in newer if name in SERVICE.read_text()]
    assert not found, f"expected nothing that came after Python 3.10, got {found}"
