"""Alarms, metrics and the list of certificates."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from ansible_collections.decanter.stack.plugins.action import certificates as certificates_action
from certificate_pair import DAY, lineage, pair
from certificates_host import MODULES, Host, new_host
from shared.journal import iso


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return new_host(tmp_path, monkeypatch)


@pytest.mark.parametrize("mode", ["acme", "provided", "self-signed", "ca"])
@pytest.mark.parametrize(
    ("begins", "ends", "expected"),
    [
        (-59, 31, ""),
        (-61, 29, "expires "),
        (-3, 3, ""),
        (-5, 1.9, "expires "),
        (-300, 65, ""),
        (-9, -1, "expired "),
    ],
)
def test_expiring_certificate_raises_an_alarm(host, capsys, mode, begins, ends, expected):
    pair(host.tls / "a", ["a.test"], begins=begins * DAY, ends=ends * DAY)
    run = host.run({"site": "another"}, a={"mode": mode})
    assert run.well == (not expected), run.faults
    output = capsys.readouterr().out
    assert (f"a: its certificate {expected}" if expected else "") in output, output
    assert f'decanter_certificate_alarm{{site="a"}} {int(bool(expected))}' in host.metrics(), host.metrics()


@pytest.mark.parametrize("left", [29, 10, -1])
def test_renewal_prevents_the_alarm(host, left):
    host.run(a={})
    lineage(host.folder / "certbot", "a", ["a.test"], begins=(left - 90) * DAY, ends=left * DAY)
    assert host.run(a={}).well
    assert 'decanter_certificate_alarm{site="a"} 0' in host.metrics(), host.metrics()


def test_error_has_a_priority_in_the_journal(host, capsys, monkeypatch):
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    (host.root / "fault-a").write_text("down\n")
    host.run(a={})
    assert "<3>a: https://ca.test/dir issued no certificate: down\n" in capsys.readouterr().out


def test_failures_are_counted_in_metrics(host):
    (host.root / "fault-a").write_text("down\n")
    for times in (1, 2):
        host.run({"force": True}, a={})
        metrics = host.metrics()
        assert f'decanter_certificate_failures{{site="a"}} {times}\n' in metrics, metrics
    (host.root / "fault-a").unlink()
    host.run({"force": True}, a={})
    assert 'decanter_certificate_failures{site="a"} 0\n' in host.metrics()


def test_metrics_have_each_name_help_and_type(host):
    run = host.run(a={}, b={"mode": "provided"})
    ends = MODULES["state"].State.served(run.state, run.state.sites[0]).ends
    assert host.metrics().splitlines() == [
        "# HELP decanter_certificate_not_after_seconds When the served certificate expires.",
        "# TYPE decanter_certificate_not_after_seconds gauge",
        f'decanter_certificate_not_after_seconds{{site="a"}} {ends:.0f}',
        'decanter_certificate_not_after_seconds{site="b"} 0',
        "# HELP decanter_certificate_alarm Whether the certificate expires soon, or renewals fail.",
        "# TYPE decanter_certificate_alarm gauge",
        'decanter_certificate_alarm{site="a"} 0',
        'decanter_certificate_alarm{site="b"} 1',
        "# HELP decanter_certificate_failures Number of consecutive failures to issue a certificate.",
        "# TYPE decanter_certificate_failures gauge",
        'decanter_certificate_failures{site="a"} 0',
        'decanter_certificate_failures{site="b"} 0',
        "# HELP decanter_certificates_last_run_seconds When this file was written.",
        "# TYPE decanter_certificates_last_run_seconds gauge",
        f"decanter_certificates_last_run_seconds {run.now:.0f}",
        "# HELP decanter_clock_wrong Whether this host's clock differs from the CA's.",
        "# TYPE decanter_clock_wrong gauge",
        "decanter_clock_wrong 0",
    ]


def test_repeated_failures_raise_an_alarm(host, monkeypatch):
    host.run(a={}, b={})
    (host.root / "fault-a").write_text("down\n")
    alarms = []
    for _ in range(3):
        run = host.run({"force": True, "site": "a"}, a={}, b={})
        alarms.append([int(f'alarm{{site="{site}"}} 1' in host.metrics()) for site in "ab"])
    assert alarms == [[0, 0], [0, 0], [1, 0]], alarms
    assert run.faults[-1].startswith("a: renewals have failed since 20"), run.faults
    table = certificates_action.table("web1", host.rows(a={}, b={}))
    assert table.count("    RENEWAL FAILS since 20") == 1, table
    (host.root / "fault-a").unlink()
    assert host.run({"force": True}, a={}, b={}).well


def test_failures_for_a_day_raise_an_alarm(host, monkeypatch):
    (host.root / "fault-a").write_text("down\n")
    pair(host.tls / "a", ["a.test"])
    assert len(host.run(a={}).faults) == 1
    later = time.time() + 1.1 * DAY
    monkeypatch.setattr(MODULES["renewal"].time, "time", lambda: later)
    faults = host.run(a={}).faults
    assert faults[-1].startswith("a: renewals have failed since 20"), faults


def test_list_has_each_certificate(host):
    (host.root / "fault-b").write_text("down\n")
    sites = {"a": {"profile": "tlsserver", "key_type": "rsa"}, "b": {}}
    host.run(**sites)
    first, second = host.rows(**sites)
    expected = {
        "names": ["a.test"],
        "issuer": "Authority R1",
        "profile": "tlsserver",
        "key_type": "rsa",
        "error": "",
    }
    assert expected.items() <= first.items(), first
    assert 88 < first["days"] < 89.1 and not first["alarm"], first
    last_third = time.time() + 59 * DAY
    # The certificate was created in this minute or in the one before.
    assert first["renewal"] in (iso(last_third), iso(last_third - 60)), first
    assert second["error"].endswith("b/fullchain.pem does not exist"), second


def test_table_shows_each_certificate(host):
    (host.root / "fault-b").write_text("down\n")
    sites = {"a": {"profile": "tlsserver"}, "b": {}, "c": {"mode": "provided"}}
    pair(host.tls / "c", ["c.test"])
    run = host.run(**sites)
    pair(host.tls / "b", ["b.test"], ends=DAY / 5)
    table = certificates_action.table("web1", host.rows(**sites)).splitlines()
    assert table[:4] == [
        "web1:",
        "  a                a.test",
        f"    issued by Authority R1 (ecdsa tlsserver), 89 days left: expires {iso(run.now + 89 * DAY)}",
        f"    renewal: about {iso(run.now + 59 * DAY)}, or earlier if the CA suggests it",
    ], table
    assert "0.2 days left, EXPIRES TOO SOON" in table[5] and table[6:9] == [
        "    self-signed, until the CA has issued the first certificate",
        "    https://ca.test/dir issued no certificate: down",
        "  c                c.test",
    ], table
    assert len(table) == 10, table
