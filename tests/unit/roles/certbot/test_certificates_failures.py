"""Failures and interrupted runs: other sites are renewed, and served certificates stay."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from certificates_host import MODULES, Host, new_host, replace_writes


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return new_host(tmp_path, monkeypatch)


def test_failure_of_a_site_does_not_affect_other_sites(host):
    (host.root / "fault-b").write_text("Domain: b.test\n  Type:   dns\n  Detail: no such name\n")
    run = host.run(a={}, b={}, c={})
    assert not run.well
    assert [run.results[name]["installed"] for name in "abc"] == [True, False, True], run.results
    expected = "https://ca.test/dir issued no certificate: b.test: no such name"
    assert run.results["b"]["error"] == expected, run.results


def test_failed_order_is_repeated_after_an_hour(host):
    fault = host.root / "fault-a"
    fault.write_text("too many\n")
    for again in ("", " (ordered 0 minutes ago, and at most once an hour)"):
        run = host.run(a={})
        expected = f"https://ca.test/dir issued no certificate: too many{again}"
        assert run.results["a"]["error"] == expected, run.results
    assert len(host.orders()) == 1, "expected one order within an hour"
    host.run({"force": True}, a={})
    assert len(host.orders()) == 1, "expected an operator's request to order at once"
    fault.unlink()
    host.run(a={"server_names": ["a.test", "b.test"]})
    assert host.ordered() == ["a.test b.test"], "expected an order for other names"


@pytest.mark.parametrize("first", [True, False])
def test_interrupted_order_is_installed_by_the_next_run(host, monkeypatch, first):
    if not first:
        host.run(a={"profile": "classic"})
    host.orders()
    subprocess = MODULES["certbot_client"].subprocess
    real = subprocess.run

    def interrupt(command, **options):
        done = real(command, **options)
        if "certonly" in command:
            raise KeyboardInterrupt
        return done

    monkeypatch.setattr(subprocess, "run", interrupt)
    with pytest.raises(KeyboardInterrupt):
        host.run(a={})
    monkeypatch.setattr(subprocess, "run", real)
    assert len(host.orders()) == 1
    run = host.run(a={})
    assert run.well and run.results["a"]["installed"], run.results
    assert "certonly" not in {call[0] for call in host.orders()}, "expected no second order"
    assert "asked" not in host.note("a"), host.note("a")


def test_order_that_certbot_has_not_finished_is_repeated(host, monkeypatch):
    host.run(a={"profile": "classic"})
    subprocess = MODULES["certbot_client"].subprocess
    real = subprocess.run

    def interrupt(command, **options):
        if "certonly" in command:
            raise KeyboardInterrupt
        return real(command, **options)

    monkeypatch.setattr(subprocess, "run", interrupt)
    with pytest.raises(KeyboardInterrupt):
        host.run(a={})
    monkeypatch.setattr(subprocess, "run", real)
    host.orders()
    assert host.run(a={}).well and host.ordered() == ["a.test"]


def test_finished_renewal_removes_the_unfinished_order(host):
    host.run(a={})
    host.run({"force": True}, a={})
    assert "asked" not in host.note("a"), host.note("a")


def test_failed_order_keeps_the_served_certificate(host):
    host.run(a={})
    before = host.served("a")
    (host.root / "fault-a").write_text("down\n")
    assert not host.run(a={"server_names": ["b.test"]}).well
    assert host.served("a") == before


def test_removed_site_is_no_longer_renewed(host):
    host.run(a={}, b={})
    host.run(a={}, b={"mode": "self-signed"})
    assert not list(host.folder.glob("**/b*")), list(host.folder.glob("**/b*"))
    assert (host.tls / "b/fullchain.pem").exists(), "expected the served certificate to stay"
    assert (host.folder / "certbot/live/a/fullchain.pem").exists()


def test_full_disk_keeps_the_served_certificate(host, monkeypatch):
    host.run(a={}, b={})
    host.orders()
    before, real = host.served("a"), MODULES["installation"].write_file

    def write(path: Path, *rest: Any) -> None:
        if path.is_relative_to(host.full):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(path, *rest)

    replace_writes(monkeypatch, write)
    for full, expected in ((host.folder, []), (host.tls, ["a.test", "b.test"])):
        host.full = full
        run = host.run({"force": True}, a={}, b={})
        assert {site["error"] for site in run.results.values()} == {"No space left on device"}, run.results
        assert host.ordered() == expected, "expected no order if its parameters cannot be written"
        assert host.served("a") == before
    host.full = Path("/nowhere")
    run = host.run(a={}, b={})
    assert run.well and run.results["a"]["installed"], "expected the next run to install the certificate"
    assert host.orders() == [], "expected no second order"
