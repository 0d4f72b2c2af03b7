"""The reader of X.509 certificates, compared with openssl."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest
from ansible_collections.decanter.stack.plugins.module_utils.shared.certificate import (
    fits,
    public_key_of,
    read_certificate,
)
from certificate_pair import DAY, pair


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed here")
@pytest.mark.parametrize("key_type", ["ecdsa", "rsa"])
def test_public_key_is_what_openssl_prints(tmp_path: Path, key_type: str) -> None:
    pair(tmp_path, ["a.test"], key_type)
    command = ["openssl", "pkey", "-in", tmp_path / "privkey.pem", "-pubout"]
    expected = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    assert public_key_of(tmp_path / "privkey.pem") == expected
    certificate = read_certificate(tmp_path / "fullchain.pem")
    assert (certificate.public_key, certificate.key_type) == (expected, key_type)


def test_fields_of_a_certificate(tmp_path: Path) -> None:
    pair(tmp_path, ["A.test", "10.0.0.1", "b.test"], begins=-70 * DAY, ends=20 * DAY)
    certificate = read_certificate(tmp_path / "fullchain.pem")
    assert certificate.names == ("a.test", "b.test", "10.0.0.1")
    assert (certificate.issuer, certificate.issuer_name, certificate.self_issued) == (
        "Authority R1",
        "CN=Authority R1",
        False,
    )
    assert certificate.identifier.endswith(".AIdlQyE"), certificate.identifier  # RFC 9773, section 4.1
    assert certificate.begins == pytest.approx(time.time() - 70 * DAY, abs=60)
    assert (certificate.lifetime, certificate.ends - certificate.last_third) == (90 * DAY, 30 * DAY)


def test_fits_compares_the_key_with_the_certificate(tmp_path: Path) -> None:
    for name in ("one", "two"):
        pair(tmp_path / name, ["a.test"])
    assert fits(tmp_path / "one/fullchain.pem", tmp_path / "one/privkey.pem")
    assert not fits(tmp_path / "one/fullchain.pem", tmp_path / "two/privkey.pem")


@pytest.mark.parametrize(
    "content", [b"", b"\xff\x00", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_invalid_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "f.pem"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"^{path} is not a certificate in PEM$"):
        read_certificate(path)
    with pytest.raises(ValueError, match=f"^{path} is not a private key in PEM$"):
        public_key_of(path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"^{tmp_path}/f.pem does not exist$"):
        read_certificate(tmp_path / "f.pem")
