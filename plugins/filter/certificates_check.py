"""Filters that validate the certificates of sites with `tls.mode: provided`, before a host is contacted.

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
from ansible_collections.decanter.stack.plugins.plugin_utils.pem import is_pem
from ansible_collections.decanter.stack.plugins.plugin_utils.plain_data import plain
from ansible_collections.decanter.stack.plugins.plugin_utils.project import expand_home

# The import takes 0.2 s, and the process of every task imports this file.
if TYPE_CHECKING:
    from cryptography import x509


class Wrong(Exception):
    """An error of one key that prevents further checks; the message is one line."""


def _pem(value: Any, root: Path) -> str:
    """Return the PEM text of a value that is PEM text or the path of a file on the controller."""
    if not value or not isinstance(value, str):
        return ""
    if is_pem(value):
        return value
    path = root / expand_home(value)
    try:
        return path.read_text()
    except (OSError, ValueError):
        return ""


def covers(name: str, pattern: str) -> bool:
    """Return whether a name in a certificate matches a host name. A wildcard replaces one label."""
    if address := parse_address(name):
        return address == parse_address(pattern)
    if pattern.startswith("*.") and not name.startswith("*."):
        return name.partition(".")[2] == pattern[2:]
    return name == pattern


def _read(certificate: str, key: str) -> tuple[list[x509.Certificate], Any]:
    """Return the chain, with the site's certificate first, and its key. Raise Wrong."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        chain = x509.load_pem_x509_certificates(certificate.encode())
        public = chain[0].public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Wrong("certificate: found invalid data, expected a certificate chain in PEM") from error
    try:
        secret = load_pem_private_key(key.encode(), None)
    except TypeError as error:
        raise Wrong("key: found a key with a passphrase, expected a key without one") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Wrong("key: found invalid data, expected a private key in PEM") from error
    if secret.public_key() != public:
        others = [place for place, other in enumerate(chain, 1) if other.public_key() == secret.public_key()]
        if others:
            raise Wrong(
                f"certificate: found the site's own at place {others[0]} of the chain, expected it first"
            )
        raise Wrong("key: found the key of another certificate, expected that of the first in the chain")
    return chain, secret


def _lines(names: list[str], own: Certificate, chain: list[x509.Certificate], now: float) -> Iterator[str]:
    from cryptography.exceptions import InvalidSignature

    if missing := [name for name in names if not any(covers(name, pattern) for pattern in own.names)]:
        found = ", ".join(own.names) or "no names"
        yield f"certificate: found a certificate for {found}, expected also {', '.join(missing)}"
    if own.ends <= now:
        yield f"certificate: found one that expired {iso(own.ends)}, expected a valid certificate"
    elif own.begins > now:
        yield f"certificate: found one that is valid from {iso(own.begins)}, expected a valid certificate"
    for place, (issued, issuer) in enumerate(pairwise(chain), 1):
        try:
            issued.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature):
            found = f"a chain in which certificate {place + 1} did not issue certificate {place}"
            yield f"certificate: found {found}, expected the site's certificate, then its issuers in order"
            return


def provided_faults(sites: Any, source_root: str, now: datetime.datetime) -> tuple[list[str], list[str]]:
    """Return errors and warnings about the provided certificates; never raise."""
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
            warnings.append(
                f"{at}.certificate: expires {iso(own.ends)}, in {left:.1f} days. Remedy: provide a new one."
            )
    return errors, warnings


def _value(sites: Any, site_id: Any, key: str) -> Any:
    return sites[site_id][key]


def _faults(sites: Any, source_root: Any) -> tuple[list[str], list[str]]:
    root = plain(lambda: source_root)
    return provided_faults(sites, root if isinstance(root, str) else ".", datetime.datetime.now(datetime.UTC))


@accept_args_markers
@accept_lazy_markers
def provided_errors(sites: Any, source_root: Any) -> list[str]:
    """Return one line for each error in provided certificates.

    Relative paths in `sites` start at source_root, a folder on the controller.
    """
    return _faults(sites, source_root)[0]


@accept_args_markers
@accept_lazy_markers
def provided_warnings(sites: Any, source_root: Any) -> list[str]:
    """Return one line for each provided certificate that expires soon."""
    return _faults(sites, source_root)[1]


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"provided_errors": provided_errors, "provided_warnings": provided_warnings}
