"""Stub of a mail server, which stores messages and injects faults."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from email import message_from_bytes, policy
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


class FakeMailServer:
    """State and faults of the server.

    Attributes:
        messages: accepted messages, in order.
        raw: bytes of these messages.
        on_stage: called with a stage and an address. Stages: `mail` (sender), `rcpt`, `data` (before the
            text), `complete` (after the final line), `stored` (before the reply). The result is the
            reply: None for the default, "hang up" to close the connection.
    """

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.raw: list[bytes] = []
        self.on_stage: Callable[[str, str], str | None] = lambda _stage, _recipient: None
        self.lock = threading.Lock()

    def received(self) -> Counter[str]:
        """Return the number of messages per recipient."""
        return Counter(message["To"] for message in self.messages)

    # aiosmtpd calls these methods by their names.
    async def handle_MAIL(  # noqa: N802
        self, _server: Any, _session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return self.on_stage("mail", address) or "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        reply = self.on_stage("rcpt", address)
        if reply:
            return reply
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        message = message_from_bytes(envelope.content, policy=policy.default)
        reply = self.on_stage("complete", envelope.rcpt_tos[0])
        if reply == "hang up":
            server.transport.abort()
            return "451 Gone"
        if reply and not reply.startswith("250"):
            return reply
        with self.lock:
            self.messages.append(message)
            self.raw.append(envelope.content)
        self.on_stage("stored", envelope.rcpt_tos[0])
        return "250 OK"


class _Session(SMTP):
    """Calls `on_stage` for DATA, which has no hook before the text in aiosmtpd."""

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        if self.envelope.rcpt_tos:
            self.event_handler.on_stage("data", self.envelope.rcpt_tos[0])
        await super().smtp_DATA(arg)


class _Controller(Controller):
    def factory(self) -> SMTP:
        return _Session(self.handler, **self.SMTP_kwargs)


@contextmanager
def run_server(tls: ssl.SSLContext | None = None) -> Iterator[tuple[FakeMailServer, int]]:
    """Run a mail server, with STARTTLS if `tls` is set. Yield the server and its port."""
    mail_server = FakeMailServer()
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    controller = _Controller(
        mail_server,
        hostname="127.0.0.1",
        port=port,
        tls_context=tls,
        require_starttls=tls is not None,
    )
    controller.start()
    try:
        yield mail_server, port
    finally:
        controller.stop()


def create_certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """Return the path of a new certificate for 127.0.0.1, and a server context that uses it."""
    moment = datetime.now(timezone.utc)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(moment - timedelta(days=1))
        .not_valid_after(moment + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(path)
    return path, context


def link(message: EmailMessage) -> str:
    """Return the path of the subscription link in a message."""
    text = message.get_content()
    return re.search(r"https://homes\.example(/weather/digest/\S+)", text)[1]
