"""The program of the role balancer, and a stub of a web host."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import importlib.util
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from repository import ROOT

SERVICE = ROOT / "roles/balancer/files/balancer.py"
spec = importlib.util.spec_from_file_location("balancer_service", SERVICE)
service = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = service  # required by dataclasses
spec.loader.exec_module(service)


class WebHost:
    """A stub web host on loopback with a configurable response."""

    def __init__(self, folder: Path, name: str = "site.test") -> None:
        self.status, self.requests, self.delay = "200 OK", [], 0.0
        self.certificate = folder / f"{name}.pem"
        self.certificate.write_bytes(self_signed(name))
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.certificate)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.requests.append(request)
        await asyncio.sleep(self.delay)
        if self.status:
            version = "" if "/" in self.status else "HTTP/1.1 "
            writer.write(f"{version}{self.status}\r\nContent-Length: 0\r\n\r\n".encode())
        writer.close()

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=self.context)
        async with server:
            yield server.sockets[0].getsockname()[1]


def self_signed(name: str) -> bytes:
    """Return the PEM of a key and its self-signed certificate."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.timezone.utc)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)


SITE = {
    "name": "site",
    "server_names": ["site.test", "www.site.test"],
    "tls_name": "site.test",
    "verified": False,
    "path": "/readyz",
}
SETTINGS = {
    "authority": "",
    "proxy_protocol": False,
    "interval": 0.02,
    "timeout": 0.5,
    "falls": 2,
    "rises": 2,
}


def links(folders: tuple[Path, Path], site: str = "site") -> set[str]:
    return {path.stem for path in (folders[0] / site).iterdir() if path.is_symlink()}


def record(one: Any, host: str, *faults: str) -> None:
    """Record several results of health checks of a host."""
    for fault in faults:
        [member] = [member for member in one.sites["site"] if member.name == host]
        member.record(fault, 2, 2)
        one.update_links("site")
