"""The account with the CA: registration, contact address, loss."""

from __future__ import annotations

from pathlib import Path

import pytest
from certificates_host import Host, new_host


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return new_host(tmp_path, monkeypatch)


def test_lost_account_is_registered_again_once(host, capsys):
    host.run(a={}, b={})
    host.orders()
    account = host.folder / "certbot/accounts/ca.test/dir"
    (account / "lost").touch()
    run = host.run({"force": True}, a={}, b={})
    assert run.well and host.ordered() == ["a.test", "a.test", "b.test"], run.results
    (aside,) = (host.folder / "accounts-gone").iterdir()
    assert (aside / "lost").exists() and not (account / "lost").exists(), (
        "expected the old account to be kept"
    )
    expected = f"https://ca.test/dir rejects this host's account. certbot registers another (old: {aside})."
    assert expected in capsys.readouterr().out
    # A run must not register many accounts at a CA that rejects each of them.
    text = (host.root / "bin/certbot").read_text()
    host.command("certbot", text.replace('(account / "lost").exists()', "True"))
    run = host.run({"force": True}, a={}, b={})
    calls = [call[0] for call in host.orders()]
    assert not run.well and calls == ["certonly"] * 3, f"expected one more attempt in a run, got {calls}"


def test_changed_email_updates_the_account_once(host):
    host.settings = {"email": "ops@a.test"}
    host.run(a={})
    host.run(a={})
    assert [call[0] for call in host.orders()] == ["certonly"], "expected the first address to be recorded"
    host.settings = {"email": "others@a.test"}
    (host.root / "fault-account").write_text("down\n")
    run = host.run(a={})
    assert run.faults == ["https://ca.test/dir: the contact address was not changed: down"], run.faults
    (host.root / "fault-account").unlink()
    changes = [host.run(a={}).certbot.account_changed for _ in range(2)]
    assert changes == [True, False], changes
    calls = host.orders()
    assert [call[0] for call in calls] == ["update_account"] * 2 and "others@a.test" in calls[1], calls
    host.settings = {}
    host.run(a={})
    assert "--register-unsafely-without-email" in host.orders()[0]
