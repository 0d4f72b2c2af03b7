"""The site whoami behind the balancer, as a client sees it."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any

from cryptography import x509

MEMBER_PLAYBOOK = Path(__file__).with_name("member.yml")
WHOAMI_URL = "https://whoami.test/"


def request_whoami(visitor: Any, **headers: str) -> dict[str, Any]:
    """Return the response of whoami: its host, and the headers that it received."""
    response = visitor.get(WHOAMI_URL, headers=headers)
    assert response.status_code == 200, f"expected 200, got {response.status_code}: {response.text[:200]}"
    return response.json()


def assert_client_address_is_forwarded(visitor: Any) -> None:
    forged = {"X-Forwarded-For": "198.51.100.7", "X-Real-IP": "198.51.100.7", "Forwarded": "for=198.51.100.7"}
    for headers in ({}, forged):
        for _ in range(4):  # both web hosts
            got = request_whoami(visitor, **headers)
            assert got["X-Forwarded-For"] == [visitor.own_address()], got
            assert got["X-Forwarded-Proto"] == ["https"] and got["Host"] == ["whoami.test"], got


def served_certificate(visitor: Any) -> x509.Certificate:
    """Return the certificate that clients of the site `signed` receive."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(visitor.endpoint(443), 5) as plain,
        context.wrap_socket(plain, server_hostname="www.signed.test") as connection,
    ):
        return x509.load_der_x509_certificate(connection.getpeercert(True))


def stored_certificate(get_host: Any, name: str) -> x509.Certificate:
    """Return the certificate of the site `signed` that a host has on its disk."""
    pem = get_host(name).check_output("cat /etc/decanter/tls/signed/fullchain.pem")
    return x509.load_pem_x509_certificate(pem.encode())


def is_issued_by_pebble(certificate: x509.Certificate) -> bool:
    return "Pebble" in certificate.issuer.rfc4514_string()
