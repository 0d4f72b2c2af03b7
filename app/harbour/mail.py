"""Mail, handed to the server that SMTP_URL names."""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

from flask import current_app

TIMEOUT = 5  # seconds, for each answer of the server: somebody may be waiting for a page
PORTS = {"smtp": 25, "smtp+tls": 587, "smtps": 465}


class MailError(Exception):
    """A message was not accepted by the mail server."""


def configured() -> bool:
    """Whether there is a mail server."""
    return bool(current_app.config["SMTP_URL"])


def send(subject: str, text: str, reply_to: str, identity: str) -> None:
    """Hand a message for whoever looks after the portal to the mail server.

    Args:
        subject: one line.
        text: the message.
        reply_to: the address to answer to.
        identity: what tells this message from all others, so that a mailbox can drop a second copy.

    Raises:
        MailError: the server was not reached, or did not take it.
    """
    config = current_app.config
    message = EmailMessage()
    message["From"] = config["HARBOUR_MAIL_FROM"]
    message["To"] = config["HARBOUR_MAIL_TO"]
    message["Subject"] = subject
    message["Message-ID"] = f"<{identity}@{config['HARBOUR_MAIL_FROM'].rpartition('@')[2]}>"
    try:
        # An address that is good enough for a form may be none that a header can hold.
        message["Reply-To"] = reply_to
    except ValueError:
        del message["Reply-To"]
    message.set_content(text)
    url = urlsplit(config["SMTP_URL"])
    host, port = url.hostname or "", url.port or PORTS[url.scheme]
    context = ssl.create_default_context()
    try:
        server = (
            smtplib.SMTP_SSL(host, port, timeout=TIMEOUT, context=context)
            if url.scheme == "smtps"
            else smtplib.SMTP(host, port, timeout=TIMEOUT)
        )
        with server:
            if url.scheme == "smtp+tls":
                server.starttls(context=context)
            if url.username:
                server.login(unquote(url.username), unquote(url.password or ""))
            server.send_message(message)
    except (OSError, smtplib.SMTPException, UnicodeError) as error:
        raise MailError(f"{type(error).__name__}: {error}") from error
