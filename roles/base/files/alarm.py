#!/usr/bin/env python3
"""Mails somebody about a unit that has failed, and once when it is well again.

A unit that wants that names decanter-alarm@%n.service in OnFailure= and OnSuccess=. For the same words it
mails once a day, however often the unit fails. A mail server that does not take it is said in the journal;
the next failure is mailed again.

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
# A unit that fails at the same time each day is to be heard each day.
PAUSE = 23 * 3600.0
TIMEOUT = 30.0  # seconds that a mail server may take for an answer
LINES = 30
PROPERTIES = ("ActiveState", "Result", "InvocationID", "Description")
PORTS = {"starttls": 587, "tls": 465, "none": 25}


def journal(unit: str, invocation: str) -> tuple[list[str], list[str]]:
    """The last lines of a unit's last run, and those of them that are errors."""
    time.sleep(0.5)  # what was said a moment ago may not be written yet
    # Where it could not even begin, systemd alone has something to say.
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
    """The same for the same words: times and counts in them go on."""
    return hashlib.sha256(re.sub(r"\d+", "0", "\n".join(lines)).encode()).hexdigest()


def message(settings: dict[str, Any], subject: str, body: str) -> email.message.EmailMessage:
    mail = email.message.EmailMessage()
    mail["From"] = settings.get("from") or settings["to"][0]
    mail["To"] = ", ".join(settings["to"])
    mail["Subject"] = f"[{socket.gethostname()}] {subject}"
    mail["Date"] = email.utils.localtime()
    mail["Message-ID"] = email.utils.make_msgid(domain=socket.gethostname())
    mail["Auto-Submitted"] = "auto-generated"  # so that nobody's absence answers it
    mail.set_content(body)
    return mail


def send(settings: dict[str, Any], mail: email.message.EmailMessage) -> None:
    """Hand it to the mail server. Raises OSError, of which smtplib's errors are."""
    security = settings.get("security", "starttls")
    context = ssl.create_default_context(cadata=settings.get("authority") or None)
    place = settings["server"], settings.get("port") or PORTS[security]
    if security == "tls":
        server: smtplib.SMTP = smtplib.SMTP_SSL(*place, timeout=TIMEOUT, context=context)
    else:
        server = smtplib.SMTP(*place, timeout=TIMEOUT)
    with server:
        if security == "starttls":
            server.starttls(context=context)
        if settings.get("user"):
            server.login(settings["user"], settings["password"])
        server.send_message(mail)


def failed_body(unit: str, told: dict[str, str], since: float, lines: list[str]) -> str:
    said = "\n".join(f"    {line}" for line in lines) or "    nothing"
    return (
        f"{unit} ({told['Description']}) fails on {socket.gethostname()}.\n"
        f"Since: {iso(since)}\n\n"
        f"What it said:\n\n{said}\n\n"
        f"What to do: look at the host with\n\n"
        f"    sudo journalctl --unit {unit} --priority err\n\n"
        f"and when it is put right, or to see whether it is:\n\n"
        f"    sudo systemctl start {unit}\n\n"
        "The next mail comes when it says something else, when a day has passed, and when it is well again.\n"
    )


def look_at(unit: str, settings: dict[str, Any], file: Path) -> None:
    """Mail what is new about a unit. Raises OSError where the mail is not taken."""
    told, now = show(unit, PROPERTIES), time.time()
    known = read_json(file)
    if told["ActiveState"] == "failed" or told["Result"] != "success":
        lines, errors = journal(unit, told["InvocationID"])
        words = digest(errors or lines)
        known.setdefault("since", now)
        if known.get("words") == words and 0 <= now - known.get("mailed", 0) < PAUSE:
            log(f"{unit}: says what was mailed at {iso(known['mailed'])}")
            return
        # Before it is sent: since when it fails is to be known, too, when no mail goes out.
        write_file(file, json.dumps(known), 0o600)
        send(settings, message(settings, f"{unit} fails", failed_body(unit, told, known["since"], lines)))
        write_file(file, json.dumps({**known, "words": words, "mailed": now}), 0o600)
        log(f"{unit}: mailed to {', '.join(settings['to'])}")
    elif known and told["ActiveState"] in ("active", "inactive"):
        if "mailed" in known:
            since = iso(known["since"])
            body = f"{unit} is well again on {socket.gethostname()}. It had failed since {since}.\n"
            send(settings, message(settings, f"{unit} is well again", body))
            log(f"{unit}: mailed to {', '.join(settings['to'])} that it is well again")
        file.unlink()


def main(unit: str) -> int:
    try:
        settings = json.loads(CREDENTIAL.read_text())
        look_at(unit, settings, STATE / f"{unit}.json")
    except (OSError, ValueError, SystemdError) as error:
        # Never with a password: smtplib's errors have the server's words.
        log(f"{unit}: no mail could be sent: {error}", fault=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
