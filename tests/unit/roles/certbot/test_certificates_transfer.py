"""Accounts, certificates and keys move from one machine to another."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from certificates_host import Host, new_host, program


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return new_host(tmp_path, monkeypatch)


@pytest.fixture
def heir(tmp_path) -> Host:
    (tmp_path / "heir").mkdir()
    return Host(tmp_path / "heir")


def with_account(host: Host) -> Path:
    """Write certbot's files of an account and of a renewed certificate."""
    account = host.state / "certbot/accounts/ca.test/dir/0123"
    account.mkdir(parents=True)
    for name in ("regr.json", "private_key.json", "meta.json"):
        (account / name).write_text(f"{name} of the first")
    for name in ("privkey", "fullchain"):
        live = host.state / f"certbot/live/a/{name}.pem"
        live.parent.joinpath("../../archive/a").resolve().mkdir(parents=True, exist_ok=True)
        live.rename(live.parent / f"../../archive/a/{name}2.pem")
        live.symlink_to(f"../../archive/a/{name}2.pem")
    return account


def test_transferred_certificates_need_no_order(host, heir):
    host.run(a={}, gone={})
    account = with_account(host)
    text = json.dumps(program.packed(host.run(a={}, gone={})))
    run = heir.run({"site": ""}, b={"mode": "self-signed"})
    run.sites = host.run(a={}).sites + heir.run(new={"mode": "acme"}).sites
    heir.orders()
    program.unpack(run, text)
    assert heir.serial_file("a") == host.serial_file("a")
    heir.run(a={}, new={})
    assert heir.ordered() == [], "expected nothing to be asked for"
    carried = heir.state / account.relative_to(host.state)
    assert (carried / "private_key.json").read_text() == "private_key.json of the first"
    assert os.readlink(heir.state / "certbot/live/a/privkey.pem") == "../../archive/a/privkey2.pem"
    assert not list(heir.state.glob("**/gone*")), "expected a site that is not here to stay where it was"
    for path in (*carried.iterdir(), *(heir.state / "certbot/archive/a").iterdir()):
        assert path.stat().st_mode & 0o777 == 0o600, f"expected {path} to be root's alone"
    with pytest.raises(program.Refused, match="has an account of its own already"):
        program.unpack(run, text)


@pytest.mark.parametrize("text", ["", '{"account": {', "[]", '{"account": {}}'])
def test_incomplete_transfer_is_rejected(heir, text):
    run = heir.run(a={"mode": "self-signed"})
    with pytest.raises(program.Refused, match="not whole"):
        program.unpack(run, text)
    assert not (heir.state / "certbot/accounts").exists()


@pytest.mark.parametrize(
    "entries",
    [
        {"../out": {"content": ""}},
        {"/etc/out": {"content": ""}},
        {"certbot/live/a/privkey.pem": {"link": "../../../../out"}},
        {"certbot/live/a/privkey.pem": {"link": "/etc/shadow"}},
    ],
)
def test_transfer_outside_the_state_folder_is_rejected(tmp_path, entries):
    with pytest.raises(program.Refused, match="would lead out of"):
        program.place(tmp_path / "state", entries)
    assert list(tmp_path.iterdir()) == []


def test_machine_without_an_account_has_no_transfer(host):
    run = host.run(a={})
    with pytest.raises(program.Refused, match="has no account"):
        program.packed(run)
