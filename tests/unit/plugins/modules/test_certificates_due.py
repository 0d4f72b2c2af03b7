"""Certificates that must be issued, and the reason."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from run_module import run_module

NAMES = ["a.test", "www.a.test"]
DAY = datetime.timedelta(days=1)


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


class Authority:
    def __init__(self, name: str) -> None:
        self.key, self.name = new_key(), subject(name)
        self.certificate = pem(sign(self.key, self.name, [], self, {"authority": True}))


def sign(key, name, names, by, options) -> x509.Certificate:
    """Return a certificate for a key, signed by the CA `by` or self-signed."""
    now = datetime.datetime.now(datetime.UTC)
    issuer, signer = (by.name, by.key) if by else (name, key)
    builder = x509.CertificateBuilder(issuer, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - 100 * DAY).not_valid_after(now + options.get("days", 90) * DAY)
    builder = builder.add_extension(x509.BasicConstraints(options.get("authority", False), None), True)
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([alternative(name) for name in names]), False
        )
    return builder.sign(signer, hashes.SHA256())


def alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("Test CA")


@pytest.fixture
def write(tmp_path):
    """Write a site's certificate and key."""

    def make(names: list[str] | None = None, by: Authority | None = None, **options: Any) -> None:
        key, folder = new_key(), tmp_path / "a"
        folder.mkdir(exist_ok=True)
        certificate = sign(key, subject("a.test"), NAMES if names is None else names, by, options)
        (folder / "fullchain.pem").write_text(pem(certificate))
        encoding = (
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        (folder / "privkey.pem").write_bytes((options.get("key") or key).private_bytes(*encoding))

    return make


@pytest.fixture
def due(tmp_path):
    """Return the reason why the certificate of site a must be issued, or None."""

    def reason(names: list[str] | None = None, authority: str = "", placeholder: bool = False) -> str | None:
        site = {"name": "a", "server_names": names or NAMES, "authority": authority, "temporary": placeholder}
        reasons = []
        for check in (True, False):
            done = run_module("certificates_due", directory=str(tmp_path), sites=[site], days=30, check=check)
            assert (done.code, done.result.get("changed")) == (0, False), done
            reasons.append(done.result["due"])
        assert reasons[0] == reasons[1], f"expected the same in check mode, got {reasons}"
        return reasons[0][0]["because"] if reasons[0] else None

    return reason


def test_valid_certificate_is_not_due(write, due, authority):
    write()
    assert due() is None
    write(by=authority)
    assert due(authority=authority.certificate) is None


def test_order_of_names_is_ignored(write, due):
    write(names=NAMES[::-1])
    assert due() is None


def test_missing_certificate_or_key_is_due(due, write, tmp_path):
    assert due() == "it does not exist"
    for name in ("privkey.pem", "fullchain.pem"):
        write()
        (tmp_path / "a" / name).unlink()
        assert due() == "it does not exist", f"expected a certificate without {name} to be due"


@pytest.mark.parametrize("days", [-3, 29])
def test_expired_or_soon_expiring_certificate_is_due(write, due, days):
    write(days=days)
    end = datetime.datetime.now(datetime.UTC) + days * DAY
    assert due().startswith(f"it expires {end:%Y-%m-%d}"), due()


def test_certificate_for_other_names_is_due(write, due):
    write(names=["a.test"])
    assert due() == "it is for a.test"
    write(names=[*NAMES, "b.test"])
    assert due() == "it is for a.test, b.test, www.a.test"
    write(names=[])
    assert due() == "it has no names"


@pytest.mark.parametrize("address", ["10.1.2.3", "fd00::1", "FD00:0:0:0:0:0:0:1", "2001:db8::ffff:0:1"])
def test_address_is_compared_in_any_notation(write, due, address):
    write(names=["a.test", address])
    assert due(names=["a.test", address]) is None
    assert "it is for" in due(names=["a.test", "fd00::2"])


def test_key_of_another_certificate_is_due(write, due):
    write(key=new_key())
    assert due() == "its key belongs to another certificate"


def test_certificate_of_another_ca_is_due(write, due, authority):
    other = Authority("Test CA")  # the same name, another key
    write(by=other)
    assert due(authority=authority.certificate) == "another CA has signed it"
    write()
    assert due(authority=authority.certificate) == "another CA has signed it"


def test_ca_certificate_for_self_signed_site_is_due(write, due, authority):
    write(by=authority)
    assert due() == "it is not self-signed"


def test_placeholder_certificate_needs_only_its_key(write, due, authority, tmp_path):
    write(by=authority, days=-1, names=["b.test"])
    assert due(placeholder=True) is None, "expected the certificate of another CA to stay"
    write(key=new_key())
    assert due(placeholder=True) == "its key belongs to another certificate"
    (tmp_path / "a/fullchain.pem").unlink()
    assert due(placeholder=True) == "it does not exist"


@pytest.mark.parametrize(
    ("name", "expected"), [("privkey.pem", "its key cannot be read"), ("fullchain.pem", "it cannot be read")]
)
def test_unreadable_file_is_due(write, due, tmp_path, name, expected):
    for content in (
        b"",
        b"\xff\x00 no PEM",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ):
        write()
        (tmp_path / "a" / name).write_bytes(content)
        assert due() == expected, f"{content!r}: expected {expected!r}, got {due()!r}"


def test_several_sites_are_checked_in_one_call(write, tmp_path, authority):
    write()
    (tmp_path / "empty").mkdir()
    sites = [{"name": name, "server_names": NAMES} for name in ("a", "empty", "new")]
    done = run_module("certificates_due", directory=str(tmp_path), sites=sites, days=30)
    assert done.result["due"] == [
        {"name": "empty", "because": "it does not exist", "folder": True},
        {"name": "new", "because": "it does not exist", "folder": False},
    ], done
    assert Path(tmp_path / "a/privkey.pem").read_text().splitlines()[1] not in done.text
