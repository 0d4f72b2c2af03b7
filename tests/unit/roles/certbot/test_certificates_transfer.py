"""Transfer of accounts, certificates and keys from one host to another."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from certificates_host import MODULES, Host, new_host

transfer, CertificateError = MODULES["transfer"], MODULES["failures"].CertificateError


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return new_host(tmp_path, monkeypatch)


@pytest.fixture
def target(tmp_path) -> Host:
    (tmp_path / "target").mkdir()
    return Host(tmp_path / "target")


def with_account(host: Host) -> Path:
    """Write certbot's files of an account and of a renewed certificate."""
    account = host.folder / "certbot/accounts/ca.test/dir/0123"
    account.mkdir(parents=True)
    for name in ("regr.json", "private_key.json", "meta.json"):
        (account / name).write_text(f"{name} of the first")
    for name in ("privkey", "fullchain"):
        live = host.folder / f"certbot/live/a/{name}.pem"
        live.parent.joinpath("../../archive/a").resolve().mkdir(parents=True, exist_ok=True)
        live.rename(live.parent / f"../../archive/a/{name}2.pem")
        live.symlink_to(f"../../archive/a/{name}2.pem")
    return account


def test_transferred_certificates_need_no_order(host, target, capsys):
    host.run(a={}, gone={})
    account = with_account(host)
    text = json.dumps(transfer.pack(host.state(a={}, gone={})))
    target.run(b={"mode": "self-signed"}, new={})
    target.orders()
    transfer.unpack(target.state(a={}, new={}), text)
    output = capsys.readouterr().out
    for expected in (
        "a: imported",
        "gone: not a site of this host",
        "new: the other host has no certificate",
    ):
        assert f"{expected}\n" in output, output
    assert target.served("a") == host.served("a")
    target.run(a={}, new={})
    assert target.ordered() == [], "expected no order"
    imported = target.folder / account.relative_to(host.folder)
    assert (imported / "private_key.json").read_text() == "private_key.json of the first"
    assert os.readlink(target.folder / "certbot/live/a/privkey.pem") == "../../archive/a/privkey2.pem"
    assert not list(target.folder.glob("**/gone*")), "expected no files of a site that the host does not have"
    for path in (*imported.iterdir(), *(target.folder / "certbot/archive/a").iterdir()):
        assert path.stat().st_mode & 0o777 == 0o600, f"expected only root to read {path}"
    with pytest.raises(CertificateError, match="this host already has an account"):
        transfer.unpack(target.state(a={}), text)


@pytest.mark.parametrize("text", ["", '{"account": {', "[]", '{"account": {}}'])
def test_incomplete_transfer_is_rejected(target, text):
    with pytest.raises(CertificateError, match=r"the data is incomplete\. Nothing was imported"):
        transfer.unpack(target.state(a={}), text)
    assert not (target.folder / "certbot/accounts").exists()


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
    with pytest.raises(CertificateError, match="is outside"):
        transfer.write_entries(tmp_path / "state", entries)
    assert list(tmp_path.iterdir()) == []


def test_host_without_an_account_cannot_pack_a_transfer(host):
    host.run(a={})
    with pytest.raises(CertificateError, match="has no account"):
        transfer.pack(host.state(a={}))
