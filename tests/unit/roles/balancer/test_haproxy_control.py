"""HAProxy's reload exchanges certificates, or starts a process for another configuration."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import signal
import ssl
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.decanter.stack.plugins.module_utils.shared import haproxy
from nginx_configuration import certificate
from repository import ROLES

PROGRAM = ROLES["balancer"] / "files/haproxy_control.py"


@pytest.fixture
def control(tmp_path, monkeypatch) -> Any:
    """Return the program. On a host, `shared` is the folder next to it."""
    package = haproxy.__package__
    for name in ("", ".haproxy", ".journal"):
        monkeypatch.setitem(sys.modules, f"shared{name}", importlib.import_module(f"{package}{name}"))
    spec = importlib.util.spec_from_file_location("haproxy_control", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder = tmp_path / "etc"
    folder.mkdir()
    monkeypatch.setattr(haproxy, "CONFIGURATION", folder)
    monkeypatch.setattr(module, "READ", tmp_path / "read")
    monkeypatch.setattr(module, "CHECK", ("true",))
    monkeypatch.setattr(module, "START_SECONDS", 0.3)
    for suffix, text in zip(("", ".key"), certificate(), strict=True):
        (folder / f"a.pem{suffix}").write_text(text)
    (folder / "certificates.list").write_text(f"# Ansible managed\n{folder}/a.pem a.test\n")
    return module


class Process:
    """A stub of HAProxy, which has read its files after they were written."""

    def __init__(self, monkeypatch: Any, read: Path) -> None:
        self.commands: list[str] = []
        self.signals: list[int] = []
        self.pid, self.loaded, self.committed, self.saved = "10", "OTHER", "Success!", 0
        self.read = read
        for name in ("process", "run", "save_state"):
            monkeypatch.setattr(haproxy, name, getattr(self, name))
        monkeypatch.setattr(os, "kill", self.kill)
        self.set_read(time.time() + 1)

    def set_read(self, moment: float) -> None:
        self.read.touch()
        os.utime(self.read, (moment, moment))

    def kill(self, _: int, number: int) -> None:
        self.signals.append(number)
        self.pid = "11"

    def process(self) -> dict[str, str]:
        return {"Pid": self.pid}

    def run(self, command: str) -> str:
        self.commands.append(command)
        if command.startswith("show ssl cert"):
            return f"SHA1 FingerPrint: {self.loaded}"
        return self.committed if command.startswith("commit") else ""

    def save_state(self) -> None:
        self.saved += 1


@pytest.fixture
def process(control, monkeypatch) -> Process:
    return Process(monkeypatch, control.READ)


def test_reload_exchanges_a_changed_certificate(control, process):
    control.reload(1)
    assert process.signals == [], "expected the same process"
    verbs = [command.split(" /")[0] for command in process.commands]
    assert verbs == ["show ssl cert", "set ssl cert", "commit ssl cert"], verbs
    payload = process.commands[1].split("<<\n")[1]
    assert "\n\n" not in payload, "expected no empty line, which ends a payload"
    assert "BEGIN CERTIFICATE" in payload and "PRIVATE KEY" in payload, payload[:80]
    assert process.saved == 1, "expected a state file for the next start"


def test_reload_keeps_a_certificate_that_is_loaded(control, process):
    der = ssl.PEM_cert_to_DER_cert(certificate()[0])
    process.loaded = hashlib.sha1(der, usedforsecurity=False).hexdigest().upper()
    control.reload(1)
    assert (process.signals, len(process.commands)) == ([], 1), process.commands


def test_reload_starts_a_process_for_a_changed_configuration(control, process):
    process.set_read(0)
    control.reload(1)
    assert (process.signals, process.commands) == ([signal.SIGUSR2], []), process.commands
    assert not control.configuration_changed(), "expected the next reload to keep the process"


def test_reload_starts_a_process_if_a_certificate_is_rejected(control, process, capsys):
    process.committed = "inconsistencies between private key and certificate"
    control.reload(1)
    assert process.signals == [signal.SIGUSR2]
    assert process.commands[-1].startswith("abort ssl cert"), process.commands
    assert "inconsistencies" in capsys.readouterr().out


def test_reload_fails_if_no_process_starts(control, process, monkeypatch):
    process.set_read(0)
    monkeypatch.setattr(os, "kill", lambda *_: None)
    with pytest.raises(OSError, match="no new process has started"):
        control.reload(1)


def test_reload_rejects_an_invalid_configuration(control, process, monkeypatch):
    process.set_read(0)
    monkeypatch.setattr(control, "CHECK", ("sh", "-c", "echo unknown keyword >&2; exit 1"))
    with pytest.raises(OSError, match="unknown keyword"):
        control.reload(1)
    assert process.signals == [], "expected the old process to stay"


def test_stop_works_without_a_stats_socket(control, process, monkeypatch):
    def no_socket() -> None:
        raise FileNotFoundError

    monkeypatch.setattr(haproxy, "save_state", no_socket)
    control.stop(2**22 + 1)
    assert process.signals == [signal.SIGUSR1], process.signals
