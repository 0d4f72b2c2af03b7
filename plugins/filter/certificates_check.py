"""What is wrong with the certificates that sites provide, found before any host is touched.

Values that are neither a path nor PEM text are skipped; sites_check.py rejects them.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.template import accept_args_markers, accept_lazy_markers
from ansible_collections.decanter.stack.plugins.module_utils.shared.addresses import parse_address
from ansible_collections.decanter.stack.plugins.module_utils.shared.certificate import (
    DAY,
    Certificate,
    described,
)
from ansible_collections.decanter.stack.plugins.module_utils.shared.journal import iso
from ansible_collections.decanter.stack.plugins.plugin_utils.plain_data import plain
from ansible_collections.decanter.stack.plugins.plugin_utils.project import expand_home

# It takes a fifth of a second to import, and every task's process imports this file.
if TYPE_CHECKING:
    from cryptography import x509


class Wrong(Exception):
    """One line about one key; the rest cannot be told."""


def _pem(value: Any, root: Path) -> str:
    """PEM text, whether it was given as such or as the path of a file on the controller."""
    if not value or not isinstance(value, str):
        return ""
    if "-----BEGIN" in value:
        return value
    path = root / expand_home(value)
    try:
        return path.read_text()
    except (OSError, ValueError):
        return ""


def covers(name: str, pattern: str) -> bool:
    """Whether a certificate's name is that of a site, as browsers see it: a wildcard is one label."""
    if address := parse_address(name):
        return address == parse_address(pattern)
    if pattern.startswith("*.") and not name.startswith("*."):
        return name.partition(".")[2] == pattern[2:]
    return name == pattern


def _read(certificate: str, key: str) -> tuple[list[x509.Certificate], Any]:
    """The chain, the site's own first, and its key. Raises Wrong."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        chain = x509.load_pem_x509_certificates(certificate.encode())
        public = chain[0].public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Wrong("certificate: found what is no certificate, expected a chain in PEM") from error
    try:
        secret = load_pem_private_key(key.encode(), None)
    except TypeError as error:
        expected = "one without, for nobody is there to type it"
        raise Wrong(f"key: found a key with a passphrase, expected {expected}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Wrong("key: found what is no private key, expected one in PEM") from error
    if secret.public_key() != public:
        others = [place for place, other in enumerate(chain, 1) if other.public_key() == secret.public_key()]
        if others:
            raise Wrong(
                f"certificate: found the site's own at place {others[0]} of the chain, expected it first"
            )
        raise Wrong("key: found another certificate's key, expected that of the chain's first certificate")
    return chain, secret


def _lines(names: list[str], own: Certificate, chain: list[x509.Certificate], now: float) -> Iterator[str]:
    from cryptography.exceptions import InvalidSignature

    if missing := [name for name in names if not any(covers(name, pattern) for pattern in own.names)]:
        found = f"one for {', '.join(own.names) or 'no name'}"
        yield f"certificate: found {found}, expected one for {', '.join(missing)} as well"
    if own.ends <= now:
        yield f"certificate: found one that has ended {iso(own.ends)}, expected one that is valid"
    elif own.begins > now:
        yield f"certificate: found one that begins {iso(own.begins)}, expected one that is valid"
    for place, (issued, issuer) in enumerate(pairwise(chain), 1):
        try:
            issued.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature):
            found = f"a chain whose place {place + 1} has not issued place {place}"
            yield f"certificate: found {found}, expected the site's own, then whoever issued each"
            return


def provided_faults(sites: Any, source_root: str, now: datetime.datetime) -> tuple[list[str], list[str]]:
    """What is refused, and what somebody should know of; never raises."""
    errors, warnings = [], []
    for site_id in list(sites) if isinstance(sites, Mapping) else []:
        state, tls, given = (
            plain(partial(_value, sites, site_id, key)) for key in ("state", "tls", "server_names")
        )
        if state == "absent" or not isinstance(tls, dict) or tls.get("mode") != "provided":
            continue
        certificate, key = (_pem(tls.get(name), Path(source_root)) for name in ("certificate", "key"))
        if not certificate or not key:
            continue
        given = given if isinstance(given, list) else []
        names = [name.lower() for name in given if name and isinstance(name, str)]
        at = f"sites.{site_id}.tls"
        try:
            chain, _ = _read(certificate, key)
        except Wrong as wrong:
            errors.append(f"{at}.{wrong}")
            continue
        own, moment = described(chain[0]), now.timestamp()
        lines = [f"{at}.{line}" for line in _lines(names, own, chain, moment)]
        errors += lines
        if not lines and moment >= own.last_third:
            left = (own.ends - moment) / DAY
            warnings.append(f"{at}.certificate: ends {iso(own.ends)}, in {left:.1f} days; provide another")
    return errors, warnings


def _value(sites: Any, site_id: Any, key: str) -> Any:
    return sites[site_id][key]


def _faults(sites: Any, source_root: Any) -> tuple[list[str], list[str]]:
    root = plain(lambda: source_root)
    return provided_faults(sites, root if isinstance(root, str) else ".", datetime.datetime.now(datetime.UTC))


@accept_args_markers
@accept_lazy_markers
def provided_errors(sites: Any, source_root: Any) -> list[str]:
    """One line for each thing that is wrong with what sites provide.

    Relative paths in `sites` start at source_root, a folder on the controller.
    """
    return _faults(sites, source_root)[0]


@accept_args_markers
@accept_lazy_markers
def provided_warnings(sites: Any, source_root: Any) -> list[str]:
    """One line for each that ends soon."""
    return _faults(sites, source_root)[1]


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"provided_errors": provided_errors, "provided_warnings": provided_warnings}
