"""The library of tools/: commands with a log, ssh, and the playbooks of a lab."""

from __future__ import annotations

import json
import sys

import pytest

from tools import library

HOST = {
    "ansible_host": "192.0.2.1",
    "ansible_user": "admin",
    "ansible_ssh_common_args": "-o ControlPath='~/a b/%C'",
    "ansible_ssh_private_key_file": "/key",
}


def test_run_step_success_returns_output(tmp_path, capsys):
    waited: list[str] = []
    log = tmp_path / "step.log"
    command = [sys.executable, "-c", "print('converged')"]
    seconds, output = library.run_step("converge", log, command, until=lambda: waited.append("page"))
    assert (output, waited) == ("converged\n", ["page"])
    assert capsys.readouterr().out == f"  converge… {seconds:.1f} s\n"


def test_run_step_failure_shows_the_end_of_the_log(tmp_path):
    log = tmp_path / "step.log"
    command = [sys.executable, "-c", "print(*range(90), sep='\\n'); raise SystemExit(1)"]
    with pytest.raises(library.Failure) as raised:
        library.run_step("converge", log, command)
    lines = str(raised.value).splitlines()
    assert lines[0] == "50", lines
    assert lines[-1] == f"converge failed. The whole output is in {log}.", lines


def test_ssh_command_quotes_the_command_of_root():
    assert library.ssh_command(HOST, "id -u") == [
        *("ssh", "-o", "ControlPath=~/a b/%C", "-i", "/key", "-p", "22", "admin@192.0.2.1", "id -u")
    ]
    command = library.ssh_command(HOST | {"ansible_port": 2222}, "echo a; id -u", root=True)
    assert command[-3:] == ["2222", "admin@192.0.2.1", "sudo sh -c 'echo a; id -u'"]


def test_lab_remove_names_the_lab_of_the_program(tmp_path, monkeypatch):
    commands: list[list[str]] = []
    monkeypatch.setattr(library, "ROOT", tmp_path)
    monkeypatch.setattr(
        library, "run_step", lambda title, log, command, env: (commands.append(command), (0.0, ""))[1]
    )
    hosts = [{"name": "web1", "suite": "trixie", "groups": ["web"]}]
    library.Lab("bench", hosts).remove()
    variables = json.loads(commands[0][-1])
    assert variables["lab_name"] == "bench" and variables["lab_hosts"] == hosts
    assert variables["lab_inventory"] == str(tmp_path / ".lab/bench/hosts.yml")
