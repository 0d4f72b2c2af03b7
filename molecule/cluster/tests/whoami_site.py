"""The site whoami behind the balancer, as a client sees it."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any

from cryptography import x509

MEMBER = Path(__file__).with_name("member.yml")
PLACE = "https://whoami.test/"


def seen(visitor: Any, **headers: str) -> dict[str, Any]:
    """What the application sees of a request."""
    answer = visitor.get(PLACE, headers=headers)
    assert answer.status_code == 200, f"expected 200, got {answer.status_code}: {answer.text[:200]}"
    return answer.json()


def own_address(visitor: Any) -> str:
    """The address from which this machine comes to the balancer."""
    with socket.create_connection(visitor.place(443), 5) as connection:
        return connection.getsockname()[0]


def assert_address_survives(visitor: Any) -> None:
    forged = {"X-Forwarded-For": "198.51.100.7", "X-Real-IP": "198.51.100.7", "Forwarded": "for=198.51.100.7"}
    for headers in ({}, forged):
        for _ in range(4):  # both web hosts
            got = seen(visitor, **headers)
            assert got["X-Forwarded-For"] == [own_address(visitor)], got
            assert got["X-Forwarded-Proto"] == ["https"] and got["Host"] == ["whoami.test"], got


def shown(visitor: Any) -> x509.Certificate:
    """The certificate that visitors of the site whose is an ACME server's are shown."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(visitor.place(443), 5) as plain,
        context.wrap_socket(plain, server_hostname="www.signed.test") as connection,
    ):
        return x509.load_der_x509_certificate(connection.getpeercert(True))


def held(machine: Any, name: str) -> x509.Certificate:
    """The certificate that a host has for that site."""
    pem = machine(name).check_output("cat /etc/decanter/tls/signed/fullchain.pem")
    return x509.load_pem_x509_certificate(pem.encode())


def by_pebble(made: x509.Certificate) -> bool:
    return "Pebble" in made.issuer.rfc4514_string()
