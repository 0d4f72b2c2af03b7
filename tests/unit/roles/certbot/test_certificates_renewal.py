"""Certificates are issued when they are missing or changed, and renewed in time."""

from __future__ import annotations

import base64
import time
from pathlib import Path

import pytest
from certificate_pair import DAY, lineage, pair
from certificates_host import ASK_WINDOW, Host, new_host, program


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return new_host(tmp_path, monkeypatch)


def test_missing_certificate_is_issued_once(host):
    run = host.run(a={"server_names": ["a.test", "www.a.test", "10.1.2.3"]})
    assert run.well and run.done == {"a": {"installed": True, "error": ""}}, run.done
    assert host.ordered() == ["a.test www.a.test 10.1.2.3"]
    for name in ("fullchain.pem", "privkey.pem"):
        served = host.tls / "a" / name
        assert served.read_bytes() == (host.state / "certbot/live/a" / name).read_bytes()
        assert served.stat().st_mode & 0o777 == 0o600, f"expected root alone to read {name}"
    run = host.run(a={"server_names": ["www.a.test", "a.test", "10.1.2.3"]})  # names are a set
    assert (run.well, host.orders(), run.done["a"]["installed"]) == (True, [], False), run.done


@pytest.mark.parametrize(
    ("site", "settings"),
    [
        ({"server_names": ["a.test", "b.test"]}, {}),
        ({"server_names": ["b.test"]}, {}),
        ({"profile": "shortlived"}, {}),
        ({"key_type": "rsa"}, {}),
        ({}, {"server": "https://another.test/dir"}),
    ],
)
def test_changed_settings_issue_another_certificate(host, site, settings):
    host.run(a={})
    host.orders()
    host.settings = settings
    assert host.run(a=site).done["a"]["installed"], "expected another certificate in its place"
    (order,) = host.orders()
    for value in [*site.get("server_names", []), *site.values(), *settings.values()]:
        assert isinstance(value, list) or value in order, f"expected {value} in {order}"
    assert not host.run(a=site).done["a"]["installed"] and not host.orders(), "expected no second order"


def test_certificate_is_renewed_in_its_last_third(host):
    host.run(a={})
    host.orders()
    for left, expected in ((31 * DAY, []), (29 * DAY, ["a.test"])):
        lineage(host.state / "certbot", "a", ["a.test"], begins=left - 90 * DAY, ends=left)
        host.run(a={})
        assert host.ordered() == expected, f"{left / DAY:.0f} of 90 days left"


def test_renewal_window_of_the_ca_starts_a_renewal(host, monkeypatch):
    host.run(a={})
    host.orders()
    asked = []

    def window(made, server, authorities, now):
        asked.append(made.identifier)
        return {"start": now - 10, "end": now - 5, "because": "https://ca.test/why", "again": now + 60}

    lineage(host.state / "certbot", "a", ["a.test"])
    monkeypatch.setattr(program, "window", window)
    run = host.run(a={})
    assert (run.well, host.ordered(), len(asked)) == (True, ["a.test"], 2), asked
    key, serial = asked[0].split(".")
    assert base64.urlsafe_b64decode(serial + "=") == b"\0\x87\x65\x43\x21", (
        "expected the number as ASN.1 has it"
    )
    assert len(base64.urlsafe_b64decode(key + "=")) == 20, key


def test_unreachable_renewal_window_stops_no_renewal(host, monkeypatch):
    host.run(a={})
    host.orders()

    def window(*_):
        raise OSError("refused")

    monkeypatch.setattr(program, "window", window)
    lineage(host.state / "certbot", "a", ["a.test"], begins=-80 * DAY, ends=10 * DAY)
    host.run(a={})
    assert host.ordered() == ["a.test"]


@pytest.mark.parametrize(
    ("pause", "expected"),
    [("21600", 21600), ("1", 60), ("999999", DAY), ("", DAY / 4), ("Sat, 21 Nov", DAY / 4)],
)
def test_renewal_window_is_requested_by_serial_number(tmp_path, monkeypatch, pause, expected):
    asked = []

    def ask(url, authorities):
        asked.append(url)
        if url == "https://ca.test/dir":
            return {"renewalInfo": "https://ca.test/renewal/"}, ""
        return {"suggestedWindow": {"start": "2026-11-21T00:00:00Z", "end": "2026-11-22T00:00:00Z"}}, pause

    monkeypatch.setattr(program, "ask", ask)
    pair(tmp_path, ["a.test"])
    made = program.read_certificate(tmp_path / "fullchain.pem")
    told = ASK_WINDOW(made, "https://ca.test/dir", "", 1000.0)
    assert asked[1] == f"https://ca.test/renewal/{made.identifier}", asked
    assert (told["end"] - told["start"], told["again"] - 1000) == (DAY, expected), told


def test_ca_without_renewal_info_is_asked_daily(tmp_path, monkeypatch):
    monkeypatch.setattr(program, "ask", lambda *_: ({"newOrder": "https://ca.test/order"}, ""))
    pair(tmp_path, ["a.test"])
    made = program.read_certificate(tmp_path / "fullchain.pem")
    assert ASK_WINDOW(made, "https://ca.test/dir", "", 1000.0) == {"again": 1000 + DAY}
    assert program.renewal_time(made, {"again": 1000 + DAY}) == made.ends - 30 * DAY


def test_renewal_time_is_stable_and_before_any_alarm(tmp_path):
    now, moments = time.time(), []
    for _ in range(5):
        pair(tmp_path, ["a.test"])
        made = program.read_certificate(tmp_path / "fullchain.pem")
        start, end = made.last_third - DAY, made.last_third + DAY
        moment = program.renewal_time(made, {"start": start, "end": end})
        assert start <= moment <= made.last_third, f"expected it in time, got {moment - start}"
        assert moment == program.renewal_time(made, {"start": start, "end": end}), "expected the same twice"
        moments.append(program.renewal_time(made, {"start": now, "end": now + DAY}))
    assert len(set(moments)) == 5, moments


def test_time_of_the_ca_is_parsed():
    expected = program.seconds("2026-11-21T03:27:43Z")
    for text in ("2026-11-21T03:27:43.123456789Z", "2026-11-21T05:27:43+02:00", "2026-11-21t03:27:43z"):
        assert program.seconds(text) == expected, text


def test_dry_run_keeps_nothing_and_force_renews(host):
    host.run(a={}, b={})
    host.orders()
    before = host.serial_file("a"), host.note("a")
    run = host.run({"dry_run": True, "site": "a"}, a={}, b={})
    (order,) = host.orders()
    assert run.well and "--dry-run" in order, order
    assert (host.serial_file("a"), host.note("a")) == before, "expected a rehearsal to keep nothing"
    host.run({"force": True, "site": "a"}, a={}, b={})
    assert host.ordered() == ["a.test"]
    assert host.serial_file("a") != before[0]
