#!/usr/bin/env python3
"""Send a mail when a unit has failed, and another one when it has recovered.

Such a unit lists decanter-alarm@%n.service in OnFailure= and OnSuccess=. The same log lines are mailed once a
day. If the mail server rejects a mail, the journal contains the error, and the next failure is mailed again.

    alarm.py UNIT

Standard library of Python 3.10, systemctl and journalctl.
"""

from __future__ import annotations

import email.message
import email.utils
import hashlib
import json
import os
import re
import smtplib
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from shared.files import read_json, write_file
from shared.journal import iso, log
from shared.systemd import SystemdError, show

CREDENTIAL = Path(os.environ.get("CREDENTIALS_DIRECTORY", "/nonexistent"), "mail")
STATE = Path(os.environ.get("STATE_DIRECTORY", "/var/lib/decanter-alarm"))
# Less than a day, so that a daily failure is mailed every day.
PAUSE = 23 * 3600.0
TIMEOUT = 30.0  # seconds for each response of the mail server
LINES = 30
PROPERTIES = ("ActiveState", "Result", "InvocationID", "Description")
PORTS = {"starttls": 587, "tls": 465, "none": 25}


def journal_lines(unit: str, invocation: str) -> tuple[list[str], list[str]]:
    """Return the last lines of a unit's last run, and the errors among them."""
    time.sleep(0.5)  # journald writes with a delay
    # If the program could not be started, only lines of systemd about the unit exist.
    matches = [[f"_SYSTEMD_INVOCATION_ID={invocation}"]] if invocation else []
    for match in [*matches, [f"--unit={unit}"]]:
        base = ["journalctl", *match, f"--lines={LINES}", "--output=cat", "--quiet", "--no-pager"]
        lines, errors = (
            subprocess.run(
                [*base, *more], capture_output=True, text=True, errors="replace"
            ).stdout.splitlines()
            for more in ([], ["--priority=err"])
        )
        if lines:
            return lines, errors
    return [], []


def digest(lines: list[str]) -> str:
    """Return a digest of log lines that ignores numbers, such as times and counts."""
    return hashlib.sha256(re.sub(r"\d+", "0", "\n".join(lines)).encode()).hexdigest()


def message(settings: dict[str, Any], subject: str, body: str) -> email.message.EmailMessage:
    mail = email.message.EmailMessage()
    mail["From"] = settings.get("from") or settings["to"][0]
    mail["To"] = ", ".join(settings["to"])
    mail["Subject"] = f"[{socket.gethostname()}] {subject}"
    mail["Date"] = email.utils.localtime()
    mail["Message-ID"] = email.utils.make_msgid(domain=socket.gethostname())
    mail["Auto-Submitted"] = "auto-generated"  # prevents automatic replies (RFC 3834)
    mail.set_content(body)
    return mail


def send(settings: dict[str, Any], mail: email.message.EmailMessage) -> None:
    """Send a mail. Raise OSError, the base class of smtplib's errors, if the server rejects it."""
    security = settings.get("security", "starttls")
    context = ssl.create_default_context(cadata=settings.get("authority") or None)
    address = settings["server"], settings.get("port") or PORTS[security]
    if security == "tls":
        server: smtplib.SMTP = smtplib.SMTP_SSL(*address, timeout=TIMEOUT, context=context)
    else:
        server = smtplib.SMTP(*address, timeout=TIMEOUT)
    with server:
        if security == "starttls":
            server.starttls(context=context)
        if settings.get("user"):
            server.login(settings["user"], settings["password"])
        server.send_message(mail)


def failure_body(unit: str, description: str, since: float, lines: list[str]) -> str:
    output = "\n".join(f"    {line}" for line in lines) or "    nothing"
    return (
        f"{unit} ({description}) has failed on {socket.gethostname()}.\n"
        f"Since: {iso(since)}\n\n"
        f"Last lines of the journal:\n\n{output}\n\n"
        f"Read all errors on the host:\n\n"
        f"    sudo journalctl --unit {unit} --priority err\n\n"
        f"Run the unit again after a fix:\n\n"
        f"    sudo systemctl start {unit}\n\n"
        "The next mail is sent when the errors change, after a day, or when the unit has recovered.\n"
    )


def report(unit: str, settings: dict[str, Any], file: Path) -> None:
    """Send a mail if the state of a unit is new. Raise OSError if the server rejects the mail."""
    state, now = show(unit, PROPERTIES), time.time()
    record = read_json(file)
    if state["ActiveState"] == "failed" or state["Result"] != "success":
        lines, errors = journal_lines(unit, state["InvocationID"])
        fingerprint = digest(errors or lines)
        record.setdefault("since", now)
        if record.get("words") == fingerprint and 0 <= now - record.get("mailed", 0) < PAUSE:
            log(f"{unit}: the same errors were mailed at {iso(record['mailed'])}")
            return
        # Written first, to keep the time of the first failure if the mail cannot be sent.
        write_file(file, json.dumps(record), 0o600)
        body = failure_body(unit, state["Description"], record["since"], lines)
        send(settings, message(settings, f"{unit} failed", body))
        write_file(file, json.dumps({**record, "words": fingerprint, "mailed": now}), 0o600)
        log(f"{unit}: mailed to {', '.join(settings['to'])}")
    elif record and state["ActiveState"] in ("active", "inactive"):
        if "mailed" in record:
            since = iso(record["since"])
            body = f"{unit} has recovered on {socket.gethostname()}. It had failed since {since}.\n"
            send(settings, message(settings, f"{unit} recovered", body))
            log(f"{unit}: recovery mailed to {', '.join(settings['to'])}")
        file.unlink()


def main(unit: str) -> int:
    try:
        settings = json.loads(CREDENTIAL.read_text())
        report(unit, settings, STATE / f"{unit}.json")
    except (OSError, ValueError, SystemdError) as error:
        # Errors of smtplib contain the server's response, and never the password.
        log(f"{unit}: no mail could be sent: {error}", fault=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
