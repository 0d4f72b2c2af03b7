"""ACME certificates that a converge must issue, install or stop renewing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.decanter.stack.plugins.modules import certificates_run as module


@pytest.fixture
def configuration(tmp_path) -> dict[str, Any]:
    """Return the configuration of a host with one installed certificate."""
    state, tls = tmp_path / "state", tmp_path / "tls"
    for folder in (state / "sites", state / "certbot/live/a", tls / "a"):
        folder.mkdir(parents=True)
    issued = {
        "server": "https://ca.test/dir",
        "profile": "",
        "key_type": "ecdsa",
        "names": ["a.test", "b.test"],
    }
    (state / "sites/a.json").write_text(json.dumps({"got": issued, "renewal": 0}))
    for folder in (state / "certbot/live/a", tls / "a"):
        (folder / "fullchain.pem").write_text("a chain")
    site = {
        "name": "a",
        "mode": "acme",
        "profile": "",
        "key_type": "ecdsa",
        "server_names": ["b.test", "a.test"],
    }
    server, email = "https://ca.test/dir", "ops@a.test"
    (state / "account.json").write_text(json.dumps({"server": server, "email": email}))
    settings = {"server": server, "email": email, "state": str(state), "directory": str(tls)}
    return {**settings, "sites": [site]}


def test_changed_mail_address_is_missing(configuration, tmp_path):
    configuration["email"] = "others@a.test"
    assert module.missing(configuration) == ["account: the CA has another mail address"]
    (tmp_path / "state/account.json").unlink()  # as written by older versions
    assert module.missing(configuration) == []


def test_complete_host_misses_nothing(configuration):
    assert module.missing(configuration) == []
    configuration["sites"].append({"name": "b", "mode": "self-signed"})
    assert module.missing(configuration) == []


@pytest.mark.parametrize(
    "change", [{"profile": "shortlived"}, {"key_type": "rsa"}, {"server_names": ["a.test"]}], ids=str
)
def test_changed_settings_require_a_certificate(configuration, change):
    configuration["sites"][0] |= change
    assert module.missing(configuration) == ["a: issued for other settings"]


def test_changed_ca_requires_a_certificate(configuration):
    configuration["server"] = "https://another.test/dir"
    assert module.missing(configuration) == ["a: issued for other settings"]


def test_site_without_certificate_is_missing(configuration, tmp_path):
    configuration["sites"].append({**configuration["sites"][0], "name": "new"})
    assert module.missing(configuration) == ["new: not issued"]
    (tmp_path / "state/sites/new.json").write_text('{"error": "down"}')
    assert module.missing(configuration) == ["new: not issued"]


def test_issued_certificate_is_not_installed(configuration, tmp_path):
    (tmp_path / "tls/a/fullchain.pem").write_text("self-signed")
    assert module.missing(configuration) == ["a: not installed"]


def test_certificate_of_removed_site_is_reported(configuration):
    configuration["sites"] = []
    assert module.missing(configuration) == ["a: still renewed, although the site does not use it"]
