"""Mail, handed to the server that SMTP_URL names."""

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

TIMEOUT = 5  # seconds, for each answer of the server: somebody may be waiting for a page
# Seconds for the last answer: a server that looks into messages does it then.
LAST_TIMEOUT = 60
PORTS = {"smtp": 25, "smtp+tls": 587, "smtps": 465}


class _Wire(policy.EmailPolicy):
    """How a message travels."""

    def fold_binary(self, name: str, value: str) -> bytes:
        """Return a header's lines. Mail programs decode no address, so this one is left whole."""
        if name.lower() == "list-unsubscribe":
            return f"{name}: {value}{self.linesep}".encode("ascii")
        return super().fold_binary(name, value)


class MailError(Exception):
    """A message was not accepted by the mail server.

    Attributes:
        lasting: whether the server says that it never takes it, to this address.
    """

    lasting = False


class UnansweredError(Exception):
    """Nobody knows whether a message was accepted."""


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
    message = compose(current_app.config["HARBOUR_MAIL_TO"], subject, text, identity)
    try:
        # An address that is good enough for a form may be none that a header can hold.
        message["Reply-To"] = reply_to
    except ValueError:
        del message["Reply-To"]
    deliver(message)


def deliver(message: EmailMessage) -> None:
    """Hand one message to the mail server.

    Raises:
        MailError: the server was not reached, or did not take it.
    """
    with connection() as server, _explained():
        server.send_message(message)


def compose(to: str, subject: str, text: str, identity: str) -> EmailMessage:
    """Return a message from the portal; its arguments are those of `send`."""
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
    """Reach the mail server, encrypted and logged in as SMTP_URL says, and leave it at the end.

    Raises:
        MailError: it was not reached, or did not let us in.
    """
    url = urlsplit(current_app.config["SMTP_URL"])
    host, port = url.hostname or "", url.port or PORTS[url.scheme]
    context = ssl.create_default_context()
    with _explained():
        server = (
            smtplib.SMTP_SSL(host, port, timeout=TIMEOUT, context=context)
            if url.scheme == "smtps"
            else smtplib.SMTP(host, port, timeout=TIMEOUT)
        )
    try:
        with _explained():
            if url.scheme == "smtp+tls":
                server.starttls(context=context)
            if url.username:
                server.login(unquote(url.username), unquote(url.password or ""))
            server.ehlo_or_helo_if_needed()
        yield server
    finally:
        # What goes wrong here changes nothing: a message that was taken stays taken.
        with suppress(OSError, smtplib.SMTPException):
            server.quit()
        server.close()


def hand_over(server: smtplib.SMTP, message: EmailMessage, decide: Callable[[], bool]) -> bool:
    """Hand a message to the server, which has all of it but the last line when `decide` is asked.

    Until that line nothing is sent, whoever is cut off; from then on it is, as far as anybody can
    tell. So `decide` is where it is written down that the message is sent.

    Args:
        server: a connection; closed where this returns False or raises anything but MailError.
        message: to one address, in ASCII.
        decide: says whether to send it after all.

    Returns:
        Whether it was sent: what `decide` said.

    Raises:
        MailError: the server did not take it, for certain.
        UnansweredError: the server has all of it, and has not said that it took it.
    """
    with _explained():
        _expect((250,), server.mail(message["From"]))
    with _explained(judged=True):
        _expect((250, 251), server.rcpt(message["To"]))
        _expect((354,), server.docmd("DATA"))
    try:
        with _explained():
            text = message.as_bytes(policy=_Wire(linesep="\r\n"))
            server.send(re.sub(rb"(?m)^\.", b"..", text))
        if not decide():
            server.close()
            return False
    except BaseException:
        server.close()
        raise
    try:
        server.send(b".\r\n")
        if server.sock:
            server.sock.settimeout(LAST_TIMEOUT)
        answer = server.getreply()
        if server.sock:
            server.sock.settimeout(TIMEOUT)
    except (OSError, smtplib.SMTPException) as error:
        server.close()
        raise UnansweredError(f"{type(error).__name__}: {error}") from error
    with _explained(judged=True):
        _expect((250,), answer)
    return True


def _expect(codes: tuple[int, ...], answer: tuple[int, bytes]) -> None:
    if answer[0] not in codes:
        raise smtplib.SMTPResponseException(*answer)


@contextmanager
def _explained(*, judged: bool = False) -> Iterator[None]:
    """Raise MailError for what goes wrong.

    Args:
        judged: whether the server's answers are about one message to one address.
    """
    try:
        yield
    except (OSError, smtplib.SMTPException, UnicodeError) as error:
        failure = MailError(f"{type(error).__name__}: {error}")
        code = error.smtp_code if isinstance(error, smtplib.SMTPResponseException) else 0
        failure.lasting = judged and 500 <= code < 600
        raise failure from error
