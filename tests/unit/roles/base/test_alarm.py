"""Mails about units that failed and recovered, through a server with STARTTLS and a password."""

from __future__ import annotations

import ast
import email
import email.policy
import importlib.util
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from certificate_pair import pair
from mail_server import Server
from repository import ROOT

PROGRAM = ROOT / "roles/base/files/alarm.py"
UNIT = "decanter-certificates.service"


@pytest.fixture
def host(tmp_path, monkeypatch) -> Iterator[SimpleNamespace]:
    """Return a stub host with a unit, and a mail server."""
    spec = importlib.util.spec_from_file_location("alarm", PROGRAM)
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    for folder in ("bin", "mails", "state"):
        (tmp_path / folder).mkdir()
    for name in ("systemctl", "journalctl"):
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\ncat {tmp_path}/{name}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    pair(tmp_path / "tls", ["127.0.0.1"], by_itself=True)
    chain, key = (str(tmp_path / "tls" / name) for name in ("fullchain.pem", "privkey.pem"))
    server = Server(0, tmp_path / "mails", chain, key, "s3cret")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    settings = {"to": ["ops@a.test", "two@a.test"], "server": "127.0.0.1", "port": server.server_address[1]}
    settings |= {"user": "decanter", "password": "s3cret", "authority": Path(chain).read_text()}

    def fails(*lines: str) -> None:
        (tmp_path / "systemctl").write_text(
            "ActiveState=failed\nResult=exit-code\nInvocationID=1\nDescription=Certs\n"
        )
        (tmp_path / "journalctl").write_text("\n".join(lines))

    def recovers() -> None:
        (tmp_path / "systemctl").write_text("ActiveState=inactive\nResult=success\nInvocationID=2\n")

    def mails() -> list[email.message.EmailMessage]:
        """Return the mails since the last call."""
        found = []
        for path in sorted((tmp_path / "mails").iterdir()):
            found.append(email.message_from_string(path.read_text(), policy=email.policy.default))
            path.unlink()
        return found

    def run() -> int:
        (tmp_path / "mail").write_text(json.dumps(settings))
        return program.main(UNIT)

    monkeypatch.setattr(program, "CREDENTIAL", tmp_path / "mail")
    monkeypatch.setattr(program, "STATE", tmp_path / "state")
    monkeypatch.setattr(program.time, "sleep", lambda _: None)
    yield SimpleNamespace(
        program=program, settings=settings, fails=fails, recovers=recovers, mails=mails, run=run
    )
    server.shutdown()
    server.server_close()
    thread.join()


def test_failure_and_recovery_are_mailed_once(host):
    host.fails("a: has ended", "b: 3 times")
    assert host.run() == 0
    (mail,) = host.mails()
    assert mail["To"] == "ops@a.test, two@a.test" and mail["From"] == "ops@a.test", mail.items()
    assert mail["Subject"].endswith(f"] {UNIT} failed"), mail["Subject"]
    text = mail.get_content()
    for expected in (
        "    a: has ended\n    b: 3 times\n",
        "(Certs)",
        f"journalctl --unit {UNIT}",
        "Since: 20",
    ):
        assert expected in text, f"expected {expected!r}, got {text}"
    host.fails("a: has ended", "b: 4 times")
    assert host.run() == 0 and host.mails() == [], "expected one mail for the same errors"
    host.fails("c: is down")
    assert host.run() == 0 and len(host.mails()) == 1, "expected a mail for other errors"
    host.recovers()
    assert host.run() == 0
    (mail,) = host.mails()
    assert mail["Subject"].endswith(f"{UNIT} recovered"), mail["Subject"]
    assert host.run() == 0 and host.mails() == [], "expected no second mail after the recovery"


def test_same_errors_are_mailed_again_after_a_day(host, monkeypatch):
    host.fails("down")
    host.run()
    later = host.program.time.time() + 24 * 3600 - 60
    monkeypatch.setattr(host.program.time, "time", lambda: later)
    assert host.run() == 0 and len(host.mails()) == 2


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"port": 1}, "Connection refused"),
        ({"password": "wrong"}, "wrong password"),
        ({"authority": ""}, "certificate verify failed"),
        ({"security": "none"}, "authentication required"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_rejected_mail_is_logged_and_sent_again(host, capsys, change, expected):
    good = dict(host.settings)
    host.settings.update(change)
    if "security" in change:
        del host.settings["user"]
    host.fails("down")
    assert host.run() == 1
    output = capsys.readouterr().out
    assert f"{UNIT}: no mail could be sent" in output and expected in output, output
    assert good["password"] not in output and "wrong" not in output.replace("wrong password", ""), output
    host.settings.update(good)
    host.settings.pop("security", None)
    assert host.run() == 0 and len(host.mails()) == 1


def test_running_unit_sends_no_mail(host, tmp_path):
    host.fails("down")
    host.run()
    host.mails()
    (tmp_path / "systemctl").write_text("ActiveState=activating\nResult=success\n")
    assert host.run() == 0 and host.mails() == [], "expected no mail about a run that has not ended"


def test_program_parses_with_the_oldest_python():
    ast.parse(PROGRAM.read_text(), feature_version=(3, 10))
