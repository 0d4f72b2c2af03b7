"""Certificates are issued when they are missing or changed, and renewed in time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from certificate_pair import DAY, lineage
from certificates_host import MODULES, Host, new_host


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return new_host(tmp_path, monkeypatch)


def test_missing_certificate_is_issued_once(host):
    run = host.run(a={"server_names": ["a.test", "www.a.test", "10.1.2.3"]})
    assert run.well and run.results == {"a": {"installed": True, "error": ""}}, run.results
    assert host.ordered() == ["a.test www.a.test 10.1.2.3"]
    for name in ("fullchain.pem", "privkey.pem"):
        served = host.tls / "a" / name
        assert served.read_bytes() == (host.folder / "certbot/live/a" / name).read_bytes()
        assert served.stat().st_mode & 0o777 == 0o600, f"expected only root to read {name}"
    run = host.run(a={"server_names": ["www.a.test", "a.test", "10.1.2.3"]})  # names are a set
    assert (run.well, host.orders(), run.results["a"]["installed"]) == (True, [], False), run.results


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
    assert host.run(a=site).results["a"]["installed"], "expected another certificate in its place"
    (order,) = host.orders()
    for value in [*site.get("server_names", []), *site.values(), *settings.values()]:
        assert isinstance(value, list) or value in order, f"expected {value} in {order}"
    assert not host.run(a=site).results["a"]["installed"] and not host.orders(), "expected no second order"


def test_certificate_is_renewed_in_its_last_third(host):
    """Even if certbot finds no renewal due, because later the operator gets an alarm."""
    host.run(a={})
    host.orders()
    for left, expected in ((31 * DAY, []), (29 * DAY, ["a.test"])):
        lineage(host.folder / "certbot", "a", ["a.test"], begins=left - 90 * DAY, ends=left)
        host.run(a={})
        assert host.ordered() == expected, f"{left / DAY:.0f} of 90 days left"


def test_certbot_decides_before_the_last_third(host, capsys):
    host.run(a={}, b={})
    host.calls()
    (host.root / "due").write_text("a")
    run = host.run(a={}, b={})
    calls = host.calls()
    assert run.well and [call[0] for call in calls] == ["renew", "certonly"], calls
    assert "a.test" in calls[1] and "--force-renewal" in calls[1], calls[1]
    assert "a: orders a certificate, because certbot finds a renewal due" in capsys.readouterr().out
    assert "due" not in host.note("a"), "expected the decision to end with the order"


def test_decision_does_not_order(host):
    host.run(a={})
    host.calls()
    host.run(a={})
    (call,) = host.calls()
    assert call[call.index("--account") + 1] == "none", "expected certbot to have no account for orders"
    assert call[call.index("--logs-dir") + 1] == f"{host.folder}/logs/decision", call
    assert {"--no-random-sleep-on-renew", "--no-directory-hooks", "-v"} < set(call), call


def test_decision_is_not_requested_without_a_certificate(host):
    host.run(a={})
    host.run({"force": True}, a={})
    assert [call[0] for call in host.calls()] == ["certonly"] * 2


def test_decision_is_valid_until_another_certificate_is_issued(host, monkeypatch):
    """certbot requests no renewal information for hours after a decision."""
    host.run(a={})
    host.calls()
    (host.root / "due").write_text("a")
    (host.root / "fault-a").write_text("down\n")
    assert not host.run(a={}).well and host.ordered() == ["a.test"]
    (host.root / "due").unlink()
    (host.root / "fault-a").unlink()
    later = MODULES["renewal"].time.time() + 3601
    monkeypatch.setattr(MODULES["renewal"].time, "time", lambda: later)
    assert host.run(a={}).well and host.ordered() == ["a.test"]
    assert host.run(a={}).well and host.ordered() == []


# certbot 5.8.0 `renew -v --account none`, where the CA suggests to renew b.
DECISION = """Saving debug log to /s/logs/letsencrypt.log

- - - - - - - - - - - - - - - - - - - -
Processing /s/certbot/renewal/a.conf
- - - - - - - - - - - - - - - - - - - -
Cannot extract OCSP URI from /s/certbot/archive/a/cert1.pem
Certificate not yet due for renewal

- - - - - - - - - - - - - - - - - - - -
Processing /s/certbot/renewal/b.conf
- - - - - - - - - - - - - - - - - - - -
Certificate is due for renewal, auto-renewing...
Plugins selected: Authenticator webroot, Installer None
Failed to renew certificate b with error: Account at /s/certbot/accounts/ca.test/dir/none does not exist

- - - - - - - - - - - - - - - - - - - -
The following certificates are not due for renewal yet:
  /s/certbot/live/a/fullchain.pem expires on 2027-01-29 (skipped)
All renewals failed. The following certificates could not be renewed:
  /s/certbot/live/b/fullchain.pem (failure)
- - - - - - - - - - - - - - - - - - - -
1 renew failure(s), 0 parse failure(s)
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [(DECISION, {"b"}), (DECISION.replace("Certificate is due", "Account"), set()), ("Traceback", set())],
)
def test_decision_is_read_from_the_output_of_certbot(host, text, expected):
    host.command("certbot", f"#!/bin/sh\ncat <<'END'\n{text}END\nexit 1\n")
    assert MODULES["certbot_client"].Certbot(host.state(a={}, b={})).due() == expected


def test_certbot_timeout_does_not_stop_a_renewal(host, monkeypatch, capsys):
    host.run(a={})
    host.command("certbot", "#!/bin/sh\nexec sleep 9\n")
    monkeypatch.setattr(MODULES["certbot_client"], "TIMEOUT", 0.5)
    assert host.run(a={}).well
    assert "last third of the lifetime: certbot did not finish" in capsys.readouterr().out


def test_state_of_an_older_version_needs_no_order(host):
    host.run(a={})
    host.calls()
    note = host.note("a")
    old = note | {"renewal": 1.0, "suggested": {"of": "x", "start": 1.0, "end": 2.0, "again": 3.0}}
    (host.folder / "sites/a.json").write_text(json.dumps(old))
    run = host.run(a={})
    assert run.well and host.orders() == [] and host.note("a") == note, host.note("a")


def test_dry_run_keeps_nothing_and_force_renews(host):
    host.run(a={}, b={})
    host.orders()
    before = host.served("a"), host.note("a")
    run = host.run({"dry_run": True, "site": "a"}, a={}, b={})
    (order,) = host.orders()
    assert run.well and "--dry-run" in order, order
    assert (host.served("a"), host.note("a")) == before, "expected a dry run to change nothing"
    host.run({"force": True, "site": "a"}, a={}, b={})
    assert host.ordered() == ["a.test"]
    assert host.served("a") != before[0]
