"""Failures and interrupted runs: other sites go on, and served certificates stay."""

from __future__ import annotations

import contextlib
import errno
import http.client
import http.server
import os
import time
import types
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from certificate_pair import DAY, lineage, pair
from certificates_host import ASK_TIME, Host, new_host, program


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return new_host(tmp_path, monkeypatch)


def test_failure_of_a_site_leaves_other_sites_alone(host):
    (host.root / "fault-b").write_text("Domain: b.test\n  Type:   dns\n  Detail: no such name\n")
    run = host.run(a={}, b={}, c={})
    assert not run.well
    assert [run.done[name]["installed"] for name in "abc"] == [True, False, True], run.done
    assert run.done["b"]["error"] == "https://ca.test/dir gives none: b.test: no such name"


def test_failed_order_is_repeated_after_an_hour(host):
    fault = host.root / "fault-a"
    fault.write_text("too many\n")
    for _ in range(2):
        run = host.run(a={})
        assert "gives none: too many" in run.done["a"]["error"], run.done
    assert len(host.orders()) == 1, "expected one order within an hour"
    host.run({"force": True}, a={})
    assert len(host.orders()) == 1, "expected an operator to be obeyed"
    fault.unlink()
    host.run(a={"server_names": ["a.test", "b.test"]})
    assert host.ordered() == ["a.test b.test"], "expected something else to be asked for"


def test_lost_account_is_registered_again_once(host):
    host.run(a={}, b={})
    host.orders()
    account = host.state / "certbot/accounts/ca.test/dir"
    (account / "lost").touch()
    run = host.run({"force": True}, a={}, b={})
    assert run.well and host.ordered() == ["a.test", "a.test", "b.test"], run.done
    (aside,) = (host.state / "accounts-gone").iterdir()
    assert (aside / "lost").exists() and not (account / "lost").exists(), "expected the old one to be kept"
    # A run must not create many accounts at a CA that rejects each of them.
    (host.root / "bin/certbot").write_text(
        (host.root / "bin/certbot").read_text().replace('(account / "lost").exists()', "True")
    )
    run = host.run({"force": True}, a={}, b={})
    calls = [call[0] for call in host.orders()]
    assert not run.well and calls == ["certonly"] * 3, f"expected one more try in a run, got {calls}"


def test_changed_email_updates_the_account_once(host):
    host.settings = {"email": "ops@a.test"}
    host.run(a={})
    host.run(a={})
    assert [call[0] for call in host.orders()] == ["certonly"], "expected what was said at first to be known"
    host.settings = {"email": "others@a.test"}
    (host.root / "fault-account").write_text("down\n")
    run = host.run(a={})
    assert run.faults == ["https://ca.test/dir is not told who it writes to: down"], run.faults
    (host.root / "fault-account").unlink()
    assert host.run(a={}).account_changed and not host.run(a={}).account_changed
    calls = host.orders()
    assert [call[0] for call in calls] == ["update_account"] * 2 and "others@a.test" in calls[1], calls
    host.settings = {}
    host.run(a={})
    assert "--register-unsafely-without-email" in host.orders()[0]


@pytest.mark.parametrize(("off", "which"), [(3, "behind"), (-3, "ahead of")])
def test_wrong_clock_is_reported_and_stops_orders(host, monkeypatch, off, which):
    host.run(a={})
    host.orders()
    theirs = time.time() + off * 365 * DAY
    pair(host.tls / "b", ["b.test"], begins=theirs - time.time() - DAY, ends=theirs - time.time() + 89 * DAY)
    for name in ("fullchain.pem", "privkey.pem"):
        for folder in (host.tls / "a", host.state / "certbot/live/a"):
            (folder / name).write_bytes((host.tls / "b" / name).read_bytes())
    monkeypatch.setattr(program, "authority_time", lambda *_: theirs)
    run = host.run(a={}, b={"mode": "provided"})
    (said,) = run.faults
    assert said.startswith("this host's clock is wrong: it says 20") and "3 years " + which in said, said
    assert host.orders() == [], "expected nothing to be asked for"
    metrics = (host.root / "certificates.prom").read_text()
    for site in "ab":  # by this host's clock it has ended, or has not begun
        assert f'alarm{{site="{site}"}} 0' in metrics, metrics
    assert "decanter_clock_wrong 1" in metrics and host.note("a")["error"] == said, metrics
    monkeypatch.setattr(program, "authority_time", lambda *_: time.time() + 60)
    assert program.span(3 * 3600.0) == "3 hours"
    assert not host.run(a={}).clock, "expected a minute to be let pass"


def test_time_is_read_from_the_ca(monkeypatch):
    answer = types.SimpleNamespace(headers=http.client.HTTPMessage())
    monkeypatch.setattr(
        urllib.request.OpenerDirector, "open", lambda *_, **__: contextlib.nullcontext(answer)
    )
    assert ASK_TIME("https://ca.test/dir", "") is None, "expected an authority to be let say nothing"
    answer.headers["Date"] = "Sat, 21 Nov 2026 03:27:43 GMT"
    assert ASK_TIME("https://ca.test/dir", "") == program.seconds("2026-11-21T03:27:43Z")


@pytest.mark.parametrize("first", [True, False])
def test_interrupted_order_is_installed_by_the_next_run(host, monkeypatch, first):
    if not first:
        host.run(a={"profile": "classic"})
    host.orders()
    real = program.subprocess.run

    def killed(command, **options):
        done = real(command, **options)
        if "certonly" in command:
            raise KeyboardInterrupt
        return done

    monkeypatch.setattr(program.subprocess, "run", killed)
    with pytest.raises(KeyboardInterrupt):
        host.run(a={})
    monkeypatch.setattr(program.subprocess, "run", real)
    assert len(host.orders()) == 1
    run = host.run(a={})
    assert run.well and run.done["a"]["installed"], run.done
    assert "certonly" not in {call[0] for call in host.orders()}, "expected no second order"
    assert "asked" not in host.note("a"), host.note("a")


def test_failed_order_keeps_the_served_certificate(host):
    host.run(a={})
    before = host.serial_file("a")
    (host.root / "fault-a").write_text("down\n")
    assert not host.run(a={"server_names": ["b.test"]}).well
    assert host.serial_file("a") == before


def test_removed_site_is_no_longer_renewed(host):
    host.run(a={}, b={})
    host.run(a={}, b={"mode": "self-signed"})
    assert not list(host.state.glob("**/b*")), list(host.state.glob("**/b*"))
    assert (host.tls / "b/fullchain.pem").exists(), "expected what is served to stay"
    assert (host.state / "certbot/live/a/fullchain.pem").exists()


def test_missing_key_is_installed_by_the_next_run(host):
    host.run(a={})
    host.orders()
    (host.tls / "a/privkey.pem").unlink()
    assert host.run(a={}).done["a"]["installed"] and not host.orders()


def test_key_of_another_certificate_is_rejected(host):
    host.run(a={}, b={})
    before = host.serial_file("a")
    live = host.state / "certbot/live/a"
    lineage(host.state / "certbot", "a", ["a.test"])
    key = host.state / "certbot/live/b/privkey.pem"
    with pytest.raises(program.Refused, match="is not the key of"):
        program.put(live / "fullchain.pem", key, host.tls / "a")
    assert host.serial_file("a") == before
    assert [path.name for path in host.tls.iterdir() if path.name[0] == "."] == []


def test_full_disk_keeps_the_served_certificate(host, monkeypatch):
    host.run(a={}, b={})
    host.orders()
    before, real = host.serial_file("a"), program.write_file

    def write(path: Path, *rest: Any) -> None:
        if path.is_relative_to(host.full):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(path, *rest)

    monkeypatch.setattr(program, "write_file", write)
    for full, expected in ((host.state, []), (host.tls, ["a.test", "b.test"])):
        host.full = full
        run = host.run({"force": True}, a={}, b={})
        assert {site["error"] for site in run.done.values()} == {"No space left on device"}, run.done
        assert host.ordered() == expected, "expected no order whose outcome cannot be noted"
        assert host.serial_file("a") == before
    host.full = Path("/nowhere")
    run = host.run(a={}, b={})
    assert run.well and run.done["a"]["installed"], "expected the next run to do what was left undone"
    assert host.orders() == [], "expected no second order"


def test_folder_is_exchanged_atomically(tmp_path):
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "what").write_text(name)
    (tmp_path / "old/request.pem").touch()
    program.exchange(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old/what").read_text() == "new"
