"""A mail server for the tests, which keeps what it takes and goes wrong where it is told to."""

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


class PostOffice:
    """What the server does.

    Attributes:
        messages: what it has taken, in order.
        raw: likewise, as it came.
        at: called with the stage and the recipient: `mail`, with the sender; `rcpt`; `data`, before
            the text is sent; `taken`, when it has all of a message; `kept`, before it says so. What
            it returns is the answer: None for the usual one, "hang up" for none at all.
    """

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.raw: list[bytes] = []
        self.at: Callable[[str, str], str | None] = lambda _stage, _recipient: None
        self.lock = threading.Lock()

    def received(self) -> Counter[str]:
        """Return how many messages each address got."""
        return Counter(message["To"] for message in self.messages)

    # aiosmtpd's names and arguments.
    async def handle_MAIL(  # noqa: N802
        self, _server: Any, _session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return self.at("mail", address) or "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        answer = self.at("rcpt", address)
        if answer:
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        message = message_from_bytes(envelope.content, policy=policy.default)
        answer = self.at("taken", envelope.rcpt_tos[0])
        if answer == "hang up":
            server.transport.abort()
            return "451 Gone"
        if answer and not answer.startswith("250"):
            return answer
        with self.lock:
            self.messages.append(message)
            self.raw.append(envelope.content)
        self.at("kept", envelope.rcpt_tos[0])
        return "250 OK"


class _Session(SMTP):
    """Asks the post office when a message is about to be sent, too."""

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        if self.envelope.rcpt_tos:
            self.event_handler.at("data", self.envelope.rcpt_tos[0])
        await super().smtp_DATA(arg)


class _Controller(Controller):
    def factory(self) -> SMTP:
        return _Session(self.handler, **self.SMTP_kwargs)


@contextmanager
def opened(tls: ssl.SSLContext | None = None) -> Iterator[tuple[PostOffice, int]]:
    """Open a post office, with TLS by STARTTLS if it has a certificate, and yield its port, too."""
    office = PostOffice()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = _Controller(
        office,
        hostname="127.0.0.1",
        port=port,
        tls_context=tls,
        require_starttls=tls is not None,
    )
    controller.start()
    try:
        yield office, port
    finally:
        controller.stop()


def certified(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """Return a new certificate for 127.0.0.1, and what a server needs to show it."""
    moment = datetime.now(timezone.utc)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail")])
    made = (
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
        + made.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(path)
    return path, context


def link(message: EmailMessage) -> str:
    """Return the address in a message that leads to the list, as a path."""
    text = message.get_content()
    return re.search(r"https://homes\.example(/weather/digest/\S+)", text)[1]
