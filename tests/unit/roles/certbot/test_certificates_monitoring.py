"""Alarms, metrics, reloads of services and lists of certificates."""

from __future__ import annotations

import errno
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.decanter.stack.plugins.action import certificates as certificates_action
from certificate_pair import DAY, pair
from certificates_host import PROGRAM, Host, new_host, program


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return new_host(tmp_path, monkeypatch)


@pytest.mark.parametrize("mode", ["acme", "provided", "self-signed", "ca"])
@pytest.mark.parametrize(
    ("begins", "ends", "expected"),
    [
        (-59, 31, ""),
        (-61, 29, "ends "),
        (-3, 3, ""),
        (-5, 1.9, "ends "),
        (-300, 65, ""),
        (-9, -1, "has ended "),
    ],
)
def test_expiring_certificate_raises_an_alarm(host, capsys, mode, begins, ends, expected):
    pair(host.tls / "a", ["a.test"], begins=begins * DAY, ends=ends * DAY)
    (host.root / "fault-a").write_text("down\n")
    host.settings = {"probe": False}
    run = host.run({"site": "nobody"}, a={"mode": mode})
    assert run.well == (not expected), run.faults
    said = capsys.readouterr().out
    assert (f"a: its certificate {expected}" if expected else "") in said, said
    metrics = (host.root / "certificates.prom").read_text()
    assert f'decanter_certificate_alarm{{site="a"}} {int(bool(expected))}' in metrics, metrics


def test_error_has_a_priority_in_the_journal(host, capsys, monkeypatch):
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    (host.root / "fault-a").write_text("down\n")
    host.run(a={})
    assert "<3>a: https://ca.test/dir gives none: down\n" in capsys.readouterr().out


def test_failures_are_counted_in_metrics(host):
    (host.root / "fault-a").write_text("down\n")
    for times in (1, 2):
        host.run({"force": True}, a={})
        metrics = (host.root / "certificates.prom").read_text()
        assert f'decanter_certificate_failures{{site="a"}} {times}\n' in metrics, metrics
    (host.root / "fault-a").unlink()
    host.run({"force": True}, a={})
    assert 'decanter_certificate_failures{site="a"} 0\n' in (host.root / "certificates.prom").read_text()


def test_services_are_reloaded_once_per_change(host, monkeypatch, tmp_path):
    told = tmp_path / "told"
    stamp = tmp_path / "stamp"
    stamp.write_text("Sat 2020-01-01 00:00:00.000000 UTC")
    (host.root / "bin/systemctl").write_text(
        f"#!/bin/sh\n[ $1 = show ] || {{ echo $* >>{told}; date -u '+%a %F %T.%6N UTC' >{stamp}; exit; }}\n"
        f"echo ActiveState=active; echo StateChangeTimestamp=$(cat {stamp})\n"
    )
    (host.root / "bin/systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{host.root / 'bin'}:{os.environ['PATH']}")
    host.settings = {"reloads": ["nginx.service"]}
    host.run(a={}, b={})
    assert told.read_text() == "reload nginx.service\n", "expected one reload for two certificates"
    host.run(a={}, b={})
    assert told.read_text() == "reload nginx.service\n", "expected no reload for nothing"
    (host.tls / "a/privkey.pem").touch()
    time.sleep(0.01)
    host.run(a={}, b={})
    assert told.read_text().count("reload") == 2, "expected what a run has left undone to be done"


def test_failed_reload_is_repeated(host, monkeypatch, tmp_path):
    told, stamp, broken = tmp_path / "told", tmp_path / "stamp", tmp_path / "broken"
    stamp.write_text("Sat 2020-01-01 00:00:00.000000 UTC")
    for name, text in (
        (
            "systemctl",
            f"[ $1 = show ] || {{ echo $* >>{told}; date -u '+%a %F %T.%6N UTC' >{stamp}; "
            f"[ ! -e {broken} ] || exit 1; exit 0; }}\n"
            f"echo ActiveState=active; echo StateChangeTimestamp=$(cat {stamp})\n"
            "echo 'ActiveEnterTimestamp=Sat 2020-01-01 00:00:00.000000 UTC'\n",
        ),
        ("journalctl", "echo 'nginx: [emerg] unknown directive'\n"),
    ):
        (host.root / "bin" / name).write_text(f"#!/bin/sh\n{text}")
        (host.root / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{host.root / 'bin'}:{os.environ['PATH']}")
    host.settings = {"reloads": ["nginx.service"]}
    broken.touch()
    for _ in range(2):
        run = host.run(a={})
        expected = "nginx.service goes on with the old: unknown directive"
        assert run.faults == [expected], run.faults
    broken.unlink()
    assert host.run(a={}).well and host.run(a={}).well
    assert told.read_text().count("reload") == 3, "expected it to be told until it has read what is new"


def test_repeated_failures_raise_an_alarm(host, monkeypatch):
    host.run(a={}, b={})
    (host.root / "fault-a").write_text("down\n")
    alarms = []
    for _ in range(3):
        run = host.run({"force": True, "site": "a"}, a={}, b={})
        metrics = (host.root / "certificates.prom").read_text()
        alarms.append([int(f'alarm{{site="{site}"}} 1' in metrics) for site in "ab"])
    assert alarms == [[0, 0], [0, 0], [1, 0]], alarms
    assert run.faults[-1].startswith("a: it keeps failing, since 20"), run.faults
    told = certificates_action.table("web1", run.listed())
    assert told.count("    KEEPS FAILING since 20") == 1, told
    (host.root / "fault-a").unlink()
    assert host.run({"force": True}, a={}, b={}).well
    # Not asked often, but for long.
    (host.root / "fault-a").write_text("down\n")
    host.run({"force": True}, a={}, b={})
    later = time.time() + 1.1 * DAY
    monkeypatch.setattr(program.time, "time", lambda: later)
    run = host.run({"force": True}, a={}, b={})
    assert "keeps failing" in run.faults[-1], run.faults


def test_full_disk_is_reported(host, monkeypatch, capsys):
    configuration = host.run(a={}).configuration
    file = host.root / "certificates.json"
    file.write_text(json.dumps(configuration))
    monkeypatch.setattr(program, "CONFIGURATION", file)

    def write(path: Path, *_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(program, "write_file", write)
    (host.state / "request.json").write_text('{"force": true}')
    assert program.main([]) == 1
    said = capsys.readouterr().out
    assert f"a: {host.state}/sites/a.json: No space left on device\n" in said, said
    assert f"{host.state}/last.json: No space left on device\n" in said, said


def test_list_has_each_certificate(host):
    (host.root / "fault-b").write_text("down\n")
    run = host.run(a={"profile": "tlsserver", "key_type": "rsa"}, b={})
    first, second = run.listed()
    expected = {
        "names": ["a.test"],
        "issuer": "Authority R1",
        "profile": "tlsserver",
        "key_type": "rsa",
        "error": "",
    }
    assert expected.items() <= first.items(), first
    assert 88 < first["days"] < 89.1 and first["renewal"] and not first["alarm"], first
    assert second["error"].endswith("b/fullchain.pem"), second


def test_table_shows_each_certificate(host):
    (host.root / "fault-b").write_text("down\n")
    run = host.run(a={"profile": "tlsserver"}, b={})
    pair(host.tls / "b", ["b.test"], ends=DAY / 5)
    told = certificates_action.table("web1", run.listed()).splitlines()
    assert told[:3] == [
        "web1:",
        "  a                a.test",
        f"    by Authority R1 (ecdsa tlsserver), 89 days left: until {program.iso(run.now + 89 * DAY)}",
    ], told
    assert told[3].startswith("    renewed at 20"), told
    assert "0.2 days left, TOO FEW" in told[5] and told[6:] == [
        "    it stands in until there is one",
        "    https://ca.test/dir gives none: down",
    ], told


def test_request_file_is_valid_for_one_run(host, monkeypatch, capsys):
    configuration = host.run(a={}).configuration
    file = host.root / "certificates.json"
    file.write_text(json.dumps(configuration))
    monkeypatch.setattr(program, "CONFIGURATION", file)
    host.orders()
    (host.state / "request.json").write_text('{"force": true}')
    for orders in (1, 0):
        assert program.main([]) == 0
        assert len(host.orders()) == orders, "expected a request to hold for one run"
    assert json.loads((host.state / "last.json").read_text())["sites"] == {
        "a": {"installed": False, "error": ""}
    }
    capsys.readouterr()
    assert program.main(["list"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["name"] == "a"


def test_program_is_valid_for_python_3_10():
    """Of the hosts: 3.10, whose standard library it must do with."""
    import ast

    ast.parse(PROGRAM.read_text(), feature_version=(3, 10))
