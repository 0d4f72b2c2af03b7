"""Read X.509 certificates.

The oldest version of cryptography on a host is 3.4 (Ubuntu 22.04). It is imported when a certificate is read,
because the import takes a fifth of a second, and the process of every task imports the filters.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryptography import x509

DAY = 86400.0
# The earliest warning before the expiry, for certificates with a long lifetime.
LONGEST_WARNING = 30 * DAY


@dataclass(frozen=True)
class Certificate:
    """Fields of a certificate. Times are in seconds since 1970."""

    names: tuple[str, ...]  # host names and IP addresses, canonical
    issuer: str  # the common name, or the distinguished name without one
    issuer_name: str  # the distinguished name, RFC 4514
    self_issued: bool
    begins: float
    ends: float
    public_key: str  # PEM
    key_type: str
    identifier: str  # key of the CA and serial number, as in RFC 9773; empty if it does not name its CA

    @property
    def lifetime(self) -> float:
        return self.ends - self.begins

    @property
    def last_third(self) -> float:
        """Return when a warning is due."""
        return self.ends - min(self.lifetime / 3, LONGEST_WARNING)

    @property
    def renewal(self) -> float:
        """Return when certbot renews the certificate if the CA suggests no time."""
        return self.ends - (self.lifetime / 2 if self.lifetime < 10 * DAY else self.lifetime / 3)


def read_certificate(chain: Path) -> Certificate:
    """Return the first certificate of a file in PEM. Raise ValueError if it cannot be read."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    if not chain.exists():
        raise ValueError(f"{chain} does not exist")
    try:
        return described(x509.load_pem_x509_certificate(chain.read_bytes()))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ValueError(f"{chain} is not a certificate in PEM") from error


def public_key_of(key: Path) -> str:
    """Return the public key of a private key in PEM. Raise ValueError if it cannot be read."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        return _pem(load_pem_private_key(key.read_bytes(), None).public_key())
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # TypeError: it has a passphrase
        raise ValueError(f"{key} is not a private key in PEM") from error


def fits(chain: Path, key: Path) -> bool:
    """Return whether a key is the key of a chain's first certificate."""
    return public_key_of(key) == read_certificate(chain).public_key


def described(certificate: x509.Certificate) -> Certificate:
    """Return the fields of a certificate."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    alternatives = _extension(certificate, x509.SubjectAlternativeName)
    kinds = (x509.DNSName, x509.IPAddress) if alternatives else ()
    names = [str(name).lower() for kind in kinds for name in alternatives.get_values_for_type(kind)]
    authority = _extension(certificate, x509.AuthorityKeyIdentifier)
    common_names = certificate.issuer.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    # DER: a positive integer has a leading zero bit.
    serial = certificate.serial_number.to_bytes(certificate.serial_number.bit_length() // 8 + 1, "big")
    return Certificate(
        names=tuple(names),
        issuer=str(common_names[-1].value) if common_names else certificate.issuer.rfc4514_string(),
        issuer_name=certificate.issuer.rfc4514_string(),
        self_issued=certificate.subject == certificate.issuer,
        begins=_seconds(certificate, "not_valid_before"),
        ends=_seconds(certificate, "not_valid_after"),
        public_key=_pem(certificate.public_key()),
        key_type="rsa" if isinstance(certificate.public_key(), RSAPublicKey) else "ecdsa",
        identifier=f"{_base64url(authority.key_identifier)}.{_base64url(serial)}"
        if authority and authority.key_identifier
        else "",
    )


def _extension(certificate: x509.Certificate, kind: Any) -> Any:
    from cryptography import x509

    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _seconds(certificate: x509.Certificate, name: str) -> float:
    # cryptography 42 deprecates the attributes without a time zone and adds those with one.
    moment = getattr(certificate, f"{name}_utc", None) or getattr(certificate, name).replace(
        tzinfo=timezone.utc
    )
    return moment.timestamp()


def _pem(public_key: Any) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode().strip()


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
