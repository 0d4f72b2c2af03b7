"""The action `message` prints lines that ansible.cfg would hide."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from playbook_run import ROOT, run_playbook


def play(folder: Path, arguments: str) -> subprocess.CompletedProcess[str]:
    playbook = folder / "play.yml"
    tasks = f"[{{name: Print, decanter.stack.message: {arguments}}}]"
    playbook.write_text(f"[{{name: Print, hosts: localhost, gather_facts: false, tasks: {tasks}}}]\n")
    return run_playbook(playbook, "-i", "localhost,")


@pytest.mark.parametrize(
    ("level", "stream", "expected"),
    [
        ("", "stdout", "first\nsecond\n"),
        (", level: warning", "stderr", "[WARNING]: first\n[WARNING]: second\n"),
    ],
)
def test_message_prints_each_line_to_its_stream(tmp_path, level, stream, expected):
    done = play(tmp_path, f"{{lines: [first, second]{level}}}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert expected in getattr(done, stream), done.stdout + done.stderr
    assert "changed=0" in done.stdout, done.stdout


@pytest.mark.parametrize("arguments", ["{lines: [first], level: loud}", "{level: info}", "{line: first}"])
def test_message_rejects_invalid_arguments(tmp_path, arguments):
    done = play(tmp_path, arguments)
    assert done.returncode != 0, done.stdout


def test_playbooks_use_no_other_action_for_messages():
    folders = ("playbooks", "roles", "molecule", "tests/lab")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.yml")]
    for path in files:
        for line in path.read_text().splitlines():
            assert line.strip() not in ("told:", "warned:"), f"{path}: expected decanter.stack.message:"
