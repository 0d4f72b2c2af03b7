"""A wrong clock stops orders, and raises no alarm about certificates."""

from __future__ import annotations

import contextlib
import http.client
import time
import types
import urllib.request
from pathlib import Path

import pytest
from certificate_pair import DAY, pair
from certificates_host import MODULES, Host, new_host

clock = MODULES["clock"]
CA_TIME = clock.ca_time  # new_host replaces it


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return new_host(tmp_path, monkeypatch)


@pytest.mark.parametrize(("years", "direction"), [(3, "behind"), (-3, "ahead of")])
def test_wrong_clock_is_reported_and_stops_orders(host, monkeypatch, years, direction):
    host.run(a={})
    host.calls()
    correct = time.time() + years * 365 * DAY
    begins = correct - time.time() - DAY
    pair(host.tls / "b", ["b.test"], begins=begins, ends=begins + 90 * DAY)
    for name in ("fullchain.pem", "privkey.pem"):
        for folder in (host.tls / "a", host.folder / "certbot/live/a"):
            (folder / name).write_bytes((host.tls / "b" / name).read_bytes())
    monkeypatch.setattr(clock, "ca_time", lambda *_: correct)
    run = host.run(a={}, b={"mode": "provided"})
    (fault,) = run.faults
    assert fault.startswith("this host's clock is wrong: 20") and f"3 years {direction}" in fault, fault
    assert host.calls() == [], "expected no call of certbot"
    for site in "ab":  # by this host's clock expired, or not yet valid
        assert f'alarm{{site="{site}"}} 0' in host.metrics(), host.metrics()
    assert "decanter_clock_wrong 1" in host.metrics() and host.note("a")["error"] == fault, host.metrics()
    assert 'decanter_certificate_failures{site="a"} 0' in host.metrics(), host.metrics()


def test_small_difference_is_tolerated(host, monkeypatch):
    monkeypatch.setattr(clock, "ca_time", lambda *_: time.time() + 60)
    assert host.run(a={}).well


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(3 * 3600.0, "3 hours"), (47 * 3600.0, "47 hours"), (5 * DAY, "5 days"), (800 * DAY, "2 years")],
)
def test_duration_has_the_largest_unit(seconds, expected):
    assert clock.duration(seconds) == expected


@pytest.mark.parametrize(
    ("date", "expected"),
    [("Sat, 21 Nov 2026 03:27:43 GMT", 1795231663.0), ("yesterday", None), (None, None)],
)
def test_time_is_read_from_the_response_of_the_ca(monkeypatch, date, expected):
    response = types.SimpleNamespace(headers=http.client.HTTPMessage())
    if date:
        response.headers["Date"] = date
    monkeypatch.setattr(
        urllib.request.OpenerDirector, "open", lambda *_, **__: contextlib.nullcontext(response)
    )
    assert CA_TIME("https://ca.test/dir", "") == expected
