"""Run a command that must not wait for background processes of the programs that it starts.

uv reads the output of a build backend until the last process that has it open ends. A process that the
backend has left in the background delays it without a limit.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

PATIENCE = 5  # seconds
SET_CHILD_SUBREAPER = 36  # linux/prctl.h


def adopt_orphans() -> None:
    """Become the parent of each descendant after its own parent has ended."""
    ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command as subprocess.run does; end background processes that it waits for."""
    adopt_orphans()
    waited = 0
    with subprocess.Popen(command, text=True, **options) as running:
        while True:
            try:
                output, _ = running.communicate(timeout=1)
                return subprocess.CompletedProcess(command, running.returncode, output)
            except subprocess.TimeoutExpired:
                waited = waited + 1 if has_ended_child(running.pid) else 0
            if waited >= PATIENCE:
                end_orphans(running.pid)


def children() -> list[tuple[int, int, str]]:
    """Return the number, the parent and the state of all visible processes."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text(errors="replace")
        except OSError:  # it has ended
            continue
        # The name is in brackets and may have brackets and spaces itself.
        state, parent = text.rpartition(")")[2].split()[:2]
        found.append((int(path.parent.name), int(parent), state))
    return found


def has_ended_child(process: int) -> bool:
    """Return whether a process has an ended child and has not read its status."""
    return any(parent == process and state == "Z" for _, parent, state in children())


def end_orphans(running: int) -> None:
    """End the adopted processes, but not the command itself."""
    for process, parent, state in children():
        if parent != os.getpid() or process == running:
            continue
        if state != "Z":
            print(f"ending process {process}, which keeps the output of a build backend open", flush=True)
            os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
