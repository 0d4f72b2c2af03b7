"""Which certificates have to be made anew, and why."""

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


def pem(made: x509.Certificate) -> str:
    return made.public_bytes(serialization.Encoding.PEM).decode()


class Authority:
    def __init__(self, name: str) -> None:
        self.key, self.name = new_key(), subject(name)
        self.certificate = pem(sign(self.key, self.name, [], self, {"authority": True}))


def sign(key, name, names, by, options) -> x509.Certificate:
    """A certificate for a key; `by` an authority, or by itself."""
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
    return Authority("ours")


@pytest.fixture
def write(tmp_path):
    """Write a site's certificate and key."""

    def make(names: list[str] | None = None, by: Authority | None = None, **options: Any) -> None:
        key, folder = new_key(), tmp_path / "a"
        folder.mkdir(exist_ok=True)
        made = sign(key, subject("a.test"), NAMES if names is None else names, by, options)
        (folder / "fullchain.pem").write_text(pem(made))
        encoding = (
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        (folder / "privkey.pem").write_bytes((options.get("key") or key).private_bytes(*encoding))

    return make


@pytest.fixture
def due(tmp_path):
    """Why the certificate of site a has to be made anew; nothing when it will do."""

    def ask(names: list[str] | None = None, authority: str = "", temporary: bool = False) -> str | None:
        site = {"name": "a", "server_names": names or NAMES, "authority": authority, "temporary": temporary}
        got = []
        for check in (True, False):
            done = run_module("certificates_due", directory=str(tmp_path), sites=[site], days=30, check=check)
            assert (done.code, done.result.get("changed")) == (0, False), done
            got.append(done.result["due"])
        assert got[0] == got[1], f"expected a check to say the same, got {got}"
        return got[0][0]["because"] if got[0] else None

    return ask


def test_one_that_will_do_costs_nothing(write, due, authority):
    write()
    assert due() is None
    write(by=authority)
    assert due(authority=authority.certificate) is None


def test_names_are_a_set(write, due):
    write(names=NAMES[::-1])
    assert due() is None


def test_none_at_all(due, write, tmp_path):
    assert due() == "it does not exist"
    for name in ("privkey.pem", "fullchain.pem"):
        write()
        (tmp_path / "a" / name).unlink()
        assert due() == "it does not exist", f"expected one without {name} to be due"


@pytest.mark.parametrize("days", [-3, 29])
def test_one_that_has_ended_or_soon_will(write, due, days):
    write(days=days)
    end = datetime.datetime.now(datetime.UTC) + days * DAY
    assert due().startswith(f"it expires {end:%Y-%m-%d}"), due()


def test_one_for_other_names(write, due):
    write(names=["a.test"])
    assert due() == "it is for a.test"
    write(names=[*NAMES, "b.test"])
    assert due() == "it is for a.test, b.test, www.a.test"
    write(names=[])
    assert due() == "it has no names"


@pytest.mark.parametrize("address", ["10.1.2.3", "fd00::1", "FD00:0:0:0:0:0:0:1", "2001:db8::ffff:0:1"])
def test_addresses_are_names_however_they_are_written(write, due, address):
    write(names=["a.test", address])
    assert due(names=["a.test", address]) is None
    assert "it is for" in due(names=["a.test", "fd00::2"])


def test_one_with_anothers_key(write, due):
    write(key=new_key())
    assert due() == "its key belongs to another certificate"


def test_one_of_another_authority(write, due, authority):
    stranger = Authority("ours")  # a name proves nothing
    write(by=stranger)
    assert due(authority=authority.certificate) == "another CA has signed it"
    write()
    assert due(authority=authority.certificate) == "another CA has signed it"


def test_one_that_should_be_signed_by_itself(write, due, authority):
    write(by=authority)
    assert due() == "it is not self-signed"


def test_one_that_temporary_has_only_to_be_there(write, due, authority, tmp_path):
    write(by=authority, days=-1, names=["b.test"])
    assert due(temporary=True) is None, "expected nothing to take the place of another authority's"
    write(key=new_key())
    assert due(temporary=True) == "its key belongs to another certificate"
    (tmp_path / "a/fullchain.pem").unlink()
    assert due(temporary=True) == "it does not exist"


@pytest.mark.parametrize(
    ("name", "expected"), [("privkey.pem", "its key cannot be read"), ("fullchain.pem", "it cannot be read")]
)
def test_what_cannot_be_read(write, due, tmp_path, name, expected):
    for spoilt in (
        b"",
        b"\xff\x00 no PEM",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ):
        write()
        (tmp_path / "a" / name).write_bytes(spoilt)
        assert due() == expected, f"{spoilt!r}: expected {expected!r}, got {due()!r}"


def test_many_are_looked_at_in_one_call(write, tmp_path, authority):
    write()
    (tmp_path / "empty").mkdir()
    sites = [{"name": name, "server_names": NAMES} for name in ("a", "empty", "new")]
    done = run_module("certificates_due", directory=str(tmp_path), sites=sites, days=30)
    assert done.result["due"] == [
        {"name": "empty", "because": "it does not exist", "folder": True},
        {"name": "new", "because": "it does not exist", "folder": False},
    ], done
    assert Path(tmp_path / "a/privkey.pem").read_text().splitlines()[1] not in done.text
