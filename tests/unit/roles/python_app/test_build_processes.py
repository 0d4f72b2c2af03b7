"""Background processes that a build backend leaves behind."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from repository import ROOT

BUILD = ROOT / "roles/python_app/files/build"
if str(BUILD) not in sys.path:
    sys.path.insert(0, str(BUILD))
processes = importlib.import_module("processes")

# As uv does: start a backend, read its output to the end, then its status.
INSTALLER = """
import subprocess, sys
backend = subprocess.Popen(["sh", "-c", sys.argv[1]], stdout=subprocess.PIPE)
print(len(backend.stdout.read()), backend.wait())
"""
# Adopting orphans is a property of the process, so each test has its own.
CALLER = """
import subprocess, sys
import processes
processes.PATIENCE = 2
done = processes.run([sys.executable, "-c", sys.argv[1], sys.argv[2]], stdout=subprocess.PIPE)
print(done.returncode, done.stdout, end="")
"""


def call(backend: str) -> tuple[str, float]:
    """Return the output of an installer with this backend, and the seconds that it took."""
    begun = time.monotonic()
    command = [sys.executable, "-c", CALLER, INSTALLER, backend]
    environment = os.environ | {"PYTHONPATH": str(BUILD)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=True)
    return done.stdout, time.monotonic() - begun


def exists(process: str) -> bool:
    return Path(f"/proc/{process}").exists()


def test_background_process_that_keeps_the_output_open_is_ended(tmp_path):
    output, lasted = call(f"echo built; (sleep 50 & echo $! > {tmp_path}/number) &")
    assert output.endswith("0 6 0\n"), f"expected the output of the backend, got {output!r}"
    assert lasted < 30, f"expected the end within seconds, got {lasted:.0f} s"
    assert not exists((tmp_path / "number").read_text().strip()), "expected the process to be ended"


def test_chain_of_background_processes_is_ended():
    output, lasted = call("echo built; (setsid sh -c '(sleep 50; sleep 50) & sleep 50' &) &")
    assert output.endswith("0 6 0\n") and lasted < 30, (
        f"expected the end within seconds, got {output!r}, {lasted} s"
    )


def test_background_process_without_the_output_is_left_alone(tmp_path):
    output, _ = call(f"(sleep 8 > /dev/null & echo $! > {tmp_path}/number) & sleep 5; echo built")
    assert output == "0 6 0\n", f"expected the output of the backend, got {output!r}"
    assert exists((tmp_path / "number").read_text().strip()), "expected the process to be left to its unit"


def test_slow_backend_is_not_interrupted():
    output, lasted = call("sleep 5; echo built")
    assert output == "0 6 0\n" and lasted >= 5, (
        f"expected the whole backend, got {output!r} after {lasted:.0f} s"
    )


def test_status_of_the_command_is_returned():
    done = processes.run(["sh", "-c", "exit 7"])
    assert done.returncode == 7


@pytest.mark.parametrize("name", ["a b", "a) Z 1 (b"])
def test_states_are_read_behind_any_name(tmp_path, name):
    program = tmp_path / name
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([str(program), "5"]) as running:
        time.sleep(0.2)
        found = [parent for process, parent, _ in processes.children() if process == running.pid]
        running.kill()
    assert found == [os.getpid()], f"expected the parent {os.getpid()}, got {found}"
