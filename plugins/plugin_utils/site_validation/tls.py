"""Rules of a site's certificate, and of its names in a certificate."""

from __future__ import annotations

from collections.abc import Iterator
from os.path import isfile  # unlike the method of Path, it never raises
from pathlib import Path
from typing import Any

from ansible_collections.decanter.stack.plugins.plugin_utils.pem import CERTIFICATE, PRIVATE_KEY
from ansible_collections.decanter.stack.plugins.plugin_utils.project import expand_home
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.messages import (
    Steps,
    error_line,
)
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.values import (
    part,
    server_address,
)
from ansible_collections.decanter.stack.plugins.plugin_utils.sites.names import certificate_names

# Names of one certificate of Let's Encrypt: https://letsencrypt.org/docs/rate-limits/ and
# https://letsencrypt.org/docs/profiles/
MOST_NAMES = 100
MOST_NAMES_OF_PROFILES = {"tlsserver": 25, "shortlived": 25}
PEM = {"certificate": CERTIFICATE, "key": PRIVATE_KEY}


def tls_errors(site_id: Any, site: Any, root: Path) -> Iterator[str]:
    tls = part(site, "tls")
    yield from certificate_lines((site_id, "tls"), tls, root)
    names = part(site, "server_names", kind=list)
    yield from challenge_lines((site_id, "server_names"), names, tls)
    yield from number_lines((site_id, "server_names"), names, tls)


def certificate_lines(steps: Steps, tls: dict[Any, Any], root: Path) -> Iterator[str]:
    provided = tls.get("mode", "self-signed") == "provided"
    for key, pem in PEM.items():
        value, step = tls.get(key), (*steps, key)
        if provided and key not in tls:
            yield error_line(step)
        elif key in tls and not provided:
            yield error_line(step, value, expected=f"no {key} where mode is not provided")
        elif (
            value and isinstance(value, str) and not (pem.search(value) or isfile(root / expand_home(value)))
        ):
            yield error_line(step, value, found="a path that does not exist" if key == "key" else "")
    if tls.get("mode", "self-signed") != "acme":
        for key in tls.keys() & {"challenge", "profile", "key_type"}:
            yield error_line((*steps, key), tls[key], expected=f"no {key} where mode is not acme")


def challenge_lines(steps: Steps, names: list[Any], tls: dict[Any, Any]) -> Iterator[str]:
    """Yield the errors of names without a possible ACME challenge, and of a wildcard as the first name."""
    acme, by_dns = tls.get("mode") == "acme", tls.get("challenge") == "route53"
    for index, name in enumerate(names):
        if not isinstance(name, str):
            continue
        wildcard = name.startswith("*.")
        if wildcard and index == 0:
            expected = "a first name without a wildcard, because nginx redirects to it"
            yield error_line((*steps, index), name, expected=expected)
        elif wildcard and acme and not by_dns:
            expected = "tls.challenge route53, or the names instead of a wildcard"
            yield error_line((*steps, index), name, expected=expected)
        elif acme and by_dns and server_address(name):
            expected = "only host names where tls.challenge is route53"
            yield error_line((*steps, index), name, expected=expected)


def number_lines(steps: Steps, names: list[Any], tls: dict[Any, Any]) -> Iterator[str]:
    """Yield an error if no ACME certificate can contain all names."""
    number = len(certificate_names([name for name in names if isinstance(name, str)]))
    profile = tls.get("profile")
    most = MOST_NAMES_OF_PROFILES.get(profile, MOST_NAMES) if isinstance(profile, str) else MOST_NAMES
    if tls.get("mode") == "acme" and number > most:
        words = "where tls.mode is acme" if most == MOST_NAMES else f"with the profile {profile}"
        expected = f"at most {most} {words}, or wildcards"
        yield error_line(steps, found=f"{number} names for the certificate", expected=expected)
