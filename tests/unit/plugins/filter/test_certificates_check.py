"""Errors of the certificates that sites provide."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.decanter.stack.plugins.filter import certificates
from ansible_collections.decanter.stack.plugins.filter.certificates_check import (
    covers,
    provided_errors,
    provided_faults,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from sites_examples import PREAMBLES

NOW = datetime.datetime(2026, 11, 21, tzinfo=datetime.UTC)


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def sign(
    subject: str, by: tuple[str, Any], names: list[str], key: Any, begins: float = -1, ends: float = 89
) -> str:
    day = datetime.timedelta(days=1)
    builder = x509.CertificateBuilder(name(by[0]), name(subject), key.public_key(), 7)
    builder = builder.not_valid_before(NOW + begins * day).not_valid_after(NOW + ends * day)
    if names:
        alternatives = x509.SubjectAlternativeName([x509.DNSName(one) for one in names])
        builder = builder.add_extension(alternatives, critical=False)
    return builder.sign(by[1], hashes.SHA256()).public_bytes(Encoding.PEM).decode()


KEY, MIDDLE_KEY, ROOT_KEY = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
MIDDLE = sign("Middle", ("Root", ROOT_KEY), [], MIDDLE_KEY)
ROOT = sign("Root", ("Root", ROOT_KEY), [], ROOT_KEY)
PASSPHRASE = BestAvailableEncryption(b"secret")


def own(names: str = "a.test *.a.test", **times: float) -> str:
    return sign("a.test", ("Middle", MIDDLE_KEY), names.split(), KEY, **times)


def pem(key: Any, encryption: Any = None) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption()).decode()


def sites(certificate: str, key: str = "", **site: Any) -> dict[str, Any]:
    tls = {"mode": "provided", "certificate": certificate, "key": key or pem(KEY)}
    return {"x": {"server_names": ["a.test", "www.a.test"], "tls": tls, **site}}


@pytest.mark.parametrize("chain", [own(), own() + MIDDLE, own() + MIDDLE + ROOT, f"a word\n{own()}\n"])
def test_valid_chain_gives_no_errors(chain):
    assert provided_faults(sites(chain), ".", NOW) == ([], [])


@pytest.mark.parametrize(
    ("chain", "key", "expected"),
    [
        (
            "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
            "",
            "certificate: found invalid data, expected a certificate",
        ),
        (
            own(),
            "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n",
            "key: found invalid data, expected a private key",
        ),
        (own(), pem(KEY, PASSPHRASE), "key: found a key with a passphrase, expected a key without one"),
        (own(), pem(ROOT_KEY), "key: found the key of another certificate, expected that of"),
        (MIDDLE + own(), "", "certificate: found the site's own at place 2 of the chain, expected it first"),
        (
            own() + ROOT,
            "",
            "certificate: found a chain in which certificate 2 did not issue certificate 1, expected the",
        ),
        (own() + MIDDLE + MIDDLE, "", "certificate: found a chain in which certificate 3 did not issue"),
        (
            own("a.test b.test"),
            "",
            "certificate: found a certificate for a.test, b.test, expected also www.a.test",
        ),
        (own("*.a.test"), "", "certificate: found a certificate for *.a.test, expected also a.test"),
        (own(""), "", "certificate: found a certificate for no names, expected also a.test"),
        (
            own(begins=-9, ends=-1),
            "",
            "certificate: found one that expired 2026-11-20 00:00 UTC, expected a",
        ),
        (
            own(begins=1),
            "",
            "certificate: found one that is valid from 2026-11-22 00:00 UTC, expected a valid",
        ),
    ],
)
def test_invalid_certificate_or_key_gives_one_line(chain, key, expected, tmp_path):
    (line,), warnings = provided_faults(sites(chain, key), ".", NOW)
    assert line.startswith(f"sites.x.tls.{expected}") and warnings == [], line
    (tmp_path / "site.crt").write_text(chain)
    (tmp_path / "site.key").write_text(key or pem(KEY))
    result = provided_faults(sites("site.crt", str(tmp_path / "site.key")), str(tmp_path), NOW)
    assert result == ([line], []), "expected the same error for files"


def test_all_errors_are_reported_at_once():
    errors, _ = provided_faults(sites(own("b.test", begins=-9, ends=-1) + ROOT), ".", NOW)
    assert len(errors) == 3, errors


@pytest.mark.parametrize(
    ("begins", "ends", "days"), [(-60, 29, "29.0"), (-4, 1.9, "1.9"), (-59, 31, ""), (-3, 3, "")]
)
def test_certificate_that_expires_soon_is_a_warning(begins, ends, days):
    errors, warnings = provided_faults(sites(own(begins=begins, ends=ends)), ".", NOW)
    expected = [f"in {days} days. Remedy: provide a new one."] if days else []
    assert errors == [] and [line.split(", ")[1] for line in warnings] == expected, warnings


def test_sites_without_provided_certificates_are_ignored():
    other = {"server_names": ["a.test"], "tls": {"mode": "acme"}}
    absent = sites(own("b.test"), state="absent")["x"]
    for given in (
        {"x": other, "y": {}, "z": None},
        {"x": absent},
        {"x": sites("nowhere.crt")["x"]},
        {"x": {"tls": {"mode": "provided"}}},
        [],
        None,
        "text",
    ):
        assert provided_faults(given, ".", NOW) == ([], []), given


@pytest.mark.parametrize(
    ("site", "pattern", "expected"),
    [
        ("a.test", "a.test", True),
        ("b.a.test", "*.a.test", True),
        ("a.test", "*.a.test", False),
        ("c.b.a.test", "*.a.test", False),
        ("*.a.test", "*.a.test", True),
        ("*.b.a.test", "*.a.test", False),
        ("fd00::1", "fd00:0::1", True),
        ("10.0.0.1", "a.test", False),
    ],
)
def test_name_is_covered_by_a_wildcard_or_itself(site, pattern, expected):
    assert covers(site, pattern) is expected


def test_inventory_check_includes_provided_certificates(tmp_path, monkeypatch):
    now = datetime.datetime.now(datetime.UTC)
    days = (now - NOW).days
    assert provided_errors(sites(own(ends=days + 89)), str(tmp_path)) == []
    text = (Path(__file__).parents[4] / "playbooks/check.yml").read_text()
    assert "provided_errors(project_directory)" in text


@pytest.mark.parametrize("text", PREAMBLES)
@pytest.mark.parametrize("in_file", [False, True])
def test_pem_with_a_preamble_is_used_unchanged(text: str, in_file: bool, tmp_path: Path) -> None:
    given = {"certificate": f"{text}{own('a.test www.a.test')}{MIDDLE}", "key": text + pem(KEY)}
    passed = given
    if in_file:
        passed = {key: str(tmp_path / key) for key in given}
        for key, path in passed.items():
            Path(path).write_text(given[key])
    entry = sites(passed["certificate"], passed["key"])
    assert provided_faults(entry, str(tmp_path), NOW)[0] == []
    provided = certificates.provided_certificates(entry, str(tmp_path))
    files = certificates.certificate_files([{"name": "x"}], "/etc/decanter/tls", provided)
    installed = {file["path"]: file.get("content") or Path(file["copy"]).read_text() for file in files[3:]}
    assert installed == {
        "/etc/decanter/tls/x/privkey.pem": given["key"],
        "/etc/decanter/tls/x/fullchain.pem": given["certificate"],
    }
