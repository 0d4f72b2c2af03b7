"""The certificate of a site."""

from __future__ import annotations

import pytest
from ansible_collections.decanter.stack.plugins.filter import sites_check
from sites_examples import PEM_KEY, PREAMBLES, SECRET, minimal
from sites_tables import accepted, rejected, rows

PEM_CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
VALID = [
    ("tls", {"mode": "provided", "certificate": PEM_CERTIFICATE, "key": "tls/site.crt"}),
    *(
        ("tls", {"mode": "provided", "certificate": text + PEM_CERTIFICATE, "key": text + PEM_KEY})
        for text in PREAMBLES
    ),
    ("tls", {"mode": "provided", "certificate": PEM_KEY + PEM_CERTIFICATE, "key": PEM_CERTIFICATE + PEM_KEY}),
    ("tls", {"mode": "ca"}),
    ("tls", {"mode": "acme"}),
    ("tls", {"mode": "acme", "challenge": "http"}),
    ("tls", {"mode": "acme", "challenge": "route53"}),
    ("tls", {"mode": "acme", "profile": "shortlived", "key_type": "rsa"}),
]
test_valid_value_is_accepted = accepted(VALID)

TLS_KEY = "a PEM private key or the path of a file on the controller"
TLS_CERTIFICATE = "a PEM certificate or the path of a file on the controller"
INVALID = [
    *rows("tls.mode", "one of: self-signed, ca, acme, provided", "letsencrypt"),
    *rows(
        "tls.profile",
        "a profile of the CA, such as tlsserver or shortlived",
        {"mode": "acme", "profile": "short lived"},
        ({"mode": "acme", "profile": ""}, "an empty string"),
        at="tls",
    ),
    *rows("tls.key_type", "one of: ecdsa, rsa", {"mode": "acme", "key_type": "ed25519"}, at="tls"),
    *rows(
        "tls.profile",
        "no profile where mode is not acme",
        {"profile": "shortlived"},
        {"mode": "ca", "profile": "shortlived"},
        at="tls",
    ),
    *rows("tls.key_type", "no key_type where mode is not acme", {"key_type": "rsa"}, at="tls"),
    *rows("tls.challenge", "one of: http, route53", {"mode": "acme", "challenge": "dns"}, at="tls"),
    *rows(
        "tls.challenge",
        "no challenge where mode is not acme",
        {"challenge": "route53"},
        {"mode": "ca", "challenge": "http"},
        at="tls",
    ),
    *rows(
        "tls.certificate",
        "no certificate where mode is not provided",
        {"certificate": "tls/site.crt"},
        at="tls",
    ),
    *rows(
        "tls.key", "no key where mode is not provided", ({"mode": "ca", "key": PEM_KEY}, "a string"), at="tls"
    ),
    *rows("tls.certificate", TLS_CERTIFICATE, ({"mode": "provided", "key": PEM_KEY}, "nothing"), at="tls"),
    *rows("tls.key", TLS_KEY, ({"mode": "provided", "certificate": "tls/site.crt"}, "nothing"), at="tls"),
    *rows(
        "tls.certificate",
        TLS_CERTIFICATE,
        {"mode": "provided", "certificate": "a.crt", "key": PEM_KEY},
        ({"mode": "provided", "certificate": PEM_KEY, "key": PEM_KEY}, "a string"),
        (
            {"mode": "provided", "certificate": PREAMBLES[0], "key": PEM_KEY},
            '"-----BEGIN EC PARAMETERS-----\\nBggqhkjOPQMBBw==\\n-----END EC …"',
        ),
        at="tls",
    ),
    *rows(
        "tls.key",
        TLS_KEY,
        (
            {"mode": "provided", "certificate": "tls/site.crt", "key": SECRET},
            "a path that does not exist",
        ),
        ({"mode": "provided", "certificate": "tls/site.crt", "key": ""}, "an empty string"),
        at="tls",
    ),
]
test_invalid_value_is_rejected = rejected(INVALID)


@pytest.mark.parametrize(
    ("names", "tls", "index", "expected"),
    [
        (["*.a.test"], {}, 1, "tls.challenge route53, or the names instead of a wildcard"),
        (["*.a.test"], {"challenge": "http"}, 1, "tls.challenge route53, or the names instead of a wildcard"),
        (["*.a.test"], {"challenge": "route53"}, None, ""),
        (["10.1.2.3"], {}, None, ""),
        (["10.1.2.3"], {"challenge": "route53"}, 1, "only host names where tls.challenge is route53"),
        (["*.a.test", "::1"], {"challenge": "route53"}, 2, "only host names where tls.challenge is route53"),
    ],
)
def test_acme_name_without_possible_challenge_is_rejected(
    names: list[str], tls: dict[str, str], index: int | None, expected: str, root: str
) -> None:
    sites = minimal()
    sites["harbour"] |= {"server_names": ["a.test", *names], "tls": {"mode": "acme", **tls}}
    lines = [f'sites.harbour.server_names[{index}]: found "{names[-1]}", expected {expected}']
    assert sites_check.site_errors(sites, root) == (lines if index else [])


@pytest.mark.parametrize(
    ("count", "tls", "names", "line"),
    [
        (100, {"mode": "acme"}, [], ""),
        (
            101,
            {"mode": "acme"},
            [],
            "101 names for the certificate, expected at most 100 where tls.mode is acme",
        ),
        (101, {"mode": "ca"}, [], ""),
        (25, {"mode": "acme", "profile": "shortlived"}, [], ""),
        (
            *(26, {"mode": "acme", "profile": "tlsserver"}, []),
            "26 names for the certificate, expected at most 25 with the profile tlsserver",
        ),
        (120, {"mode": "acme", "challenge": "route53"}, ["*.a.test"], ""),
    ],
)
def test_names_of_an_acme_certificate_are_limited(
    count: int, tls: dict[str, str], names: list[str], line: str, root: str
) -> None:
    sites = minimal()
    sites["harbour"] |= {"server_names": [*(f"n{n}.a.test" for n in range(count)), *names], "tls": tls}
    lines = [f"sites.harbour.server_names: found {line}, or wildcards"] if line else []
    assert sites_check.site_errors(sites, root) == lines
