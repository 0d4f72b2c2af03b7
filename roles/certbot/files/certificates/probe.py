"""Preflight probe: request a token for each name, as the CA does (HTTP-01).

A name that does not reach this host is left out of the order, because a failed order counts against the CA's
rate limits.
"""

from __future__ import annotations

import contextlib
import errno
import http.client
import secrets
import socket
import ssl
import urllib.parse
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from failures import CertificateError
from shared.addresses import parse_address
from shared.files import write_file
from shared.journal import log

CHALLENGE = "/.well-known/acme-challenge/"
PORT = 80  # RFC 8555, section 8.3
TIMEOUT = 10.0  # seconds
REDIRECTS = 5
# This host has no route to the address. That is not a fault of the name.
UNROUTABLE = {errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}


class Outcome(Enum):
    TOKEN = "the token"
    OTHER = "another response"
    SILENT = "no response"
    UNROUTABLE = "no route"


@dataclass(frozen=True)
class Result:
    """The outcome of a request to one address."""

    outcome: Outcome
    fault: str = ""


def probe(names: Iterable[str], challenges: Path, shared: bool = False) -> dict[str, str]:
    """Return the names that do not reach this host, with the reasons.

    `challenges` is the folder that nginx serves. `shared` means that other hosts answer for the names, too.
    """
    names = list(names)
    folder, token = challenges / CHALLENGE.strip("/"), f"decanter-{secrets.token_urlsafe(24)}"
    for path in (folder.parent, folder):
        path.mkdir(mode=0o755, exist_ok=True)
        path.chmod(0o755)
    write_file(folder / token, token)
    try:
        with ThreadPoolExecutor(8) as pool:
            faults = pool.map(lambda name: name_fault(name, token, shared), names)
            return {name: fault for name, fault in zip(names, faults, strict=True) if fault}
    finally:
        (folder / token).unlink()


def name_fault(name: str, token: str, shared: bool = False) -> str:
    """Return why the CA would not get the token; an empty string if it would.

    Addresses without a response are accepted if the name is shared and another address returns the token.
    """
    try:
        found = addresses(name)
    except CertificateError as error:
        return str(error)
    results = [request_token(name, address, token) for address in found]
    faulty = [result for result in results if result.fault]
    faults = "; ".join(result.fault for result in faulty)
    tolerated = shared and all(result.outcome is Outcome.SILENT for result in faulty)
    if any(result.outcome is Outcome.TOKEN for result in results) and (tolerated or not faulty):
        if faulty:
            log(f"{name} reaches this host, but not at each of its addresses: {faults}")
        return ""
    return (
        f"{name} does not reach this host: {faults or 'no route to its addresses'} "
        f"(DNS: {', '.join(found)}; this host: {', '.join(own_addresses()) or 'no address'})"
    )


def request_token(name: str, address: str, token: str) -> Result:
    """Request the token of a name from one address."""
    try:
        status, body = get(name, address, f"{CHALLENGE}{token}")
    except OSError as error:
        if error.errno in UNROUTABLE:
            return Result(Outcome.UNROUTABLE)
        return Result(Outcome.SILENT, f"{address} does not respond ({error.strerror or error})")
    except http.client.HTTPException as error:
        return Result(Outcome.OTHER, f"{address} {error}")
    if status != 200:
        return Result(Outcome.OTHER, f"{address} responds with {status}")
    if body.strip() != token:
        return Result(Outcome.OTHER, f"{address} responds with other content")
    return Result(Outcome.TOKEN)


def addresses(name: str) -> list[str]:
    """Return the addresses of a name. Raise CertificateError if DNS has none."""
    if parse_address(name):
        return [name]
    try:
        found = socket.getaddrinfo(name, PORT, type=socket.SOCK_STREAM)
    except OSError as error:
        raise CertificateError(f"DNS has no address for {name} ({error.strerror})") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def own_addresses() -> list[str]:
    """Return the source addresses of this host. connect() of a UDP socket sends nothing."""
    found = []
    for family, target in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as connection:
            connection.connect((target, PORT))
            found.append(connection.getsockname()[0])
    return found


def get(name: str, address: str, path: str) -> tuple[int, str]:
    """Return status and body of a path of a name at an address. Follow redirects, as CAs do."""
    url = urllib.parse.urlsplit(f"http://{f'[{name}]' if ':' in name else name}{path}")
    host, port = address, PORT
    for _ in range(REDIRECTS):
        with contextlib.closing(connect(url.scheme, host, port)) as connection:
            target = url.path + (f"?{url.query}" if url.query else "")
            connection.request("GET", target or "/", headers={"Host": url.netloc, "Connection": "close"})
            response = connection.getresponse()
            body = response.read(1024).decode(errors="replace")
            location = response.getheader("Location")
            if response.status not in (301, 302, 303, 307, 308) or not location:
                return response.status, body
        url = urllib.parse.urlsplit(urllib.parse.urljoin(url.geturl(), location))
        if url.scheme not in ("http", "https") or not url.hostname:
            raise http.client.HTTPException(f"redirects to {url.geturl()}")
        host, port = url.hostname, url.port or (443 if url.scheme == "https" else PORT)
    raise http.client.HTTPException(f"redirects more than {REDIRECTS} times")


def connect(scheme: str, host: str, port: int) -> http.client.HTTPConnection:
    """Return a connection. CAs do not verify certificates either, because there may be none yet."""
    if scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=TIMEOUT)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return http.client.HTTPSConnection(host, port, timeout=TIMEOUT, context=context)
