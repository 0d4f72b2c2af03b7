"""Chains and keys in the layout of certbot."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

DAY = 86400


def lineage(folder: Path, name: str, names: list[str], key_type: str = "ecdsa", **times: float) -> None:
    """Write the files that certbot keeps for a certificate."""
    live = folder / "live" / name
    live.mkdir(parents=True, exist_ok=True)
    (folder / "renewal").mkdir(exist_ok=True)
    (folder / "renewal" / f"{name}.conf").touch()
    pair(live, names, key_type, **times)


def pair(
    folder: Path,
    names: list[str],
    key_type: str = "ecdsa",
    begins: float = -DAY,
    ends: float = 89 * DAY,
    by_itself: bool = False,
) -> None:
    """Write a chain and its key, valid between two times relative to now, in seconds."""
    key = (
        ec.generate_private_key(ec.SECP256R1())
        if key_type == "ecdsa"
        else rsa.generate_private_key(65537, 2048)
    )
    authority, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.timezone.utc)
    alternatives = [
        x509.IPAddress(ipaddress.ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
        for name in names
    ]
    issuer = x509.Name([] if by_itself else [x509.NameAttribute(x509.NameOID.COMMON_NAME, "Authority R1")])
    certificate = (
        x509.CertificateBuilder(issuer, x509.Name([]), key.public_key(), 0x87_65_43_21)
        .not_valid_before(now + datetime.timedelta(seconds=begins))
        .not_valid_after(now + datetime.timedelta(seconds=ends))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False
        )
        .sign(key if by_itself else authority, hashes.SHA256())
    )
    encoding = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    folder.mkdir(exist_ok=True)
    (folder / "privkey.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, *encoding))
    (folder / "fullchain.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
