"""Mail through the server in SMTP_URL."""

from __future__ import annotations

import re
import smtplib
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email import policy
from email.message import EmailMessage
from email.utils import formatdate
from urllib.parse import unquote, urlsplit

from flask import current_app

TIMEOUT = 5  # seconds for each reply of the server, because a visitor may be waiting
# Seconds for the final reply, which takes longer where the server scans messages.
FINAL_TIMEOUT = 60
PORTS = {"smtp": 25, "smtp+tls": 587, "smtps": 465}


class _SmtpPolicy(policy.EmailPolicy):
    """Serialisation of a message for SMTP."""

    def fold_binary(self, name: str, value: str) -> bytes:
        """Fold a header. List-Unsubscribe stays on one line, because mail programs do not decode it."""
        if name.lower() == "list-unsubscribe":
            return f"{name}: {value}{self.linesep}".encode("ascii")
        return super().fold_binary(name, value)


class MailError(Exception):
    """The mail server was not reached or did not accept a message.

    Attributes:
        permanent: whether the server rejects messages to this address permanently (5xx).
    """

    permanent = False


class UnansweredError(Exception):
    """The server did not reply to a complete message."""


def configured() -> bool:
    """Return whether SMTP_URL is set."""
    return bool(current_app.config["SMTP_URL"])


def send(subject: str, text: str, reply_to: str, identity: str) -> None:
    """Mail a message to HARBOUR_MAIL_TO.

    Args:
        subject: the subject, one line.
        text: the body.
        reply_to: the address for replies.
        identity: unique part of the Message-ID, so that mailboxes can drop duplicates.

    Raises:
        MailError: the server was not reached, or did not accept the message.
    """
    message = compose(current_app.config["HARBOUR_MAIL_TO"], subject, text, identity)
    try:
        # Addresses that pass the form's validation may be invalid in a header.
        message["Reply-To"] = reply_to
    except ValueError:
        del message["Reply-To"]
    deliver(message)


def deliver(message: EmailMessage) -> None:
    """Send one message to the mail server.

    Raises:
        MailError: the server was not reached, or did not accept the message.
    """
    with connection() as server, _mail_errors():
        server.send_message(message)


def compose(to: str, subject: str, text: str, identity: str) -> EmailMessage:
    """Return a message from HARBOUR_MAIL_FROM. Arguments as in `send`."""
    sender = current_app.config["HARBOUR_MAIL_FROM"]
    message = EmailMessage()
    message["From"] = sender
    message["To"] = to
    message["Subject"] = subject
    message["Date"] = formatdate()
    message["Message-ID"] = f"<{identity}@{sender.rpartition('@')[2]}>"
    message.set_content(text)
    return message


@contextmanager
def connection() -> Iterator[smtplib.SMTP]:
    """Connect to the mail server with the encryption and login of SMTP_URL. Disconnect at the end.

    Raises:
        MailError: the server was not reached, or rejected the login.
    """
    url = urlsplit(current_app.config["SMTP_URL"])
    host, port = url.hostname or "", url.port or PORTS[url.scheme]
    context = ssl.create_default_context()
    with _mail_errors():
        server = (
            smtplib.SMTP_SSL(host, port, timeout=TIMEOUT, context=context)
            if url.scheme == "smtps"
            else smtplib.SMTP(host, port, timeout=TIMEOUT)
        )
    try:
        with _mail_errors():
            if url.scheme == "smtp+tls":
                server.starttls(context=context)
            if url.username:
                server.login(unquote(url.username), unquote(url.password or ""))
            server.ehlo_or_helo_if_needed()
        yield server
    finally:
        # Errors after QUIT do not affect accepted messages.
        with suppress(OSError, smtplib.SMTPException):
            server.quit()
        server.close()


def send_confirmed(server: smtplib.SMTP, message: EmailMessage, confirm: Callable[[], bool]) -> bool:
    """Send a message, and call `confirm` before its final line.

    The server delivers nothing before the final line, and may deliver the message after it.
    Therefore `confirm` stores that the message is being sent.

    Args:
        server: a connection; closed if this returns False or raises an error other than MailError.
        message: a message to one ASCII address.
        confirm: returns whether to send the message.

    Returns:
        The result of `confirm`.

    Raises:
        MailError: the server rejected the message.
        UnansweredError: the server received the complete message and did not reply.
    """
    with _mail_errors():
        _expect((250,), server.mail(message["From"]))
    with _mail_errors(recipient_specific=True):
        _expect((250, 251), server.rcpt(message["To"]))
        _expect((354,), server.docmd("DATA"))
    try:
        with _mail_errors():
            text = message.as_bytes(policy=_SmtpPolicy(linesep="\r\n"))
            server.send(re.sub(rb"(?m)^\.", b"..", text))
        if not confirm():
            server.close()
            return False
    except BaseException:
        server.close()
        raise
    try:
        server.send(b".\r\n")
        if server.sock:
            server.sock.settimeout(FINAL_TIMEOUT)
        reply = server.getreply()
        if server.sock:
            server.sock.settimeout(TIMEOUT)
    except (OSError, smtplib.SMTPException) as error:
        server.close()
        raise UnansweredError(f"{type(error).__name__}: {error}") from error
    with _mail_errors(recipient_specific=True):
        _expect((250,), reply)
    return True


def _expect(codes: tuple[int, ...], reply: tuple[int, bytes]) -> None:
    if reply[0] not in codes:
        raise smtplib.SMTPResponseException(*reply)


@contextmanager
def _mail_errors(*, recipient_specific: bool = False) -> Iterator[None]:
    """Convert errors to MailError.

    Args:
        recipient_specific: whether replies concern one message to one address.
    """
    try:
        yield
    except (OSError, smtplib.SMTPException, UnicodeError) as error:
        failure = MailError(f"{type(error).__name__}: {error}")
        code = error.smtp_code if isinstance(error, smtplib.SMTPResponseException) else 0
        failure.permanent = recipient_specific and 500 <= code < 600
        raise failure from error
