"""The order of tests on several hosts (tests/hosts/fixtures/scheduling.py)."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from repository import ROOT

from tests.hosts.fixtures.machine_lock import MachineLock

# Without connections: a host is only a name, and `meet` waits for the same test on the other host.
COMMON = """
import os, time
from pathlib import Path
import pytest

NOTES = Path("notes")
BUSY = Path("busy")


@pytest.fixture
def name(host):
    return host.backend.get_pytest_id().removeprefix("ssh://")


@pytest.fixture(autouse=True)
def note(request, name):
    with NOTES.open("a") as notes:
        notes.write(f"{name} {request.node.originalname}\\n")


def meet(name):
    Path(f"met-{name}").touch()
    ends = time.monotonic() + 100
    while not (Path("met-a").exists() and Path("met-b").exists()):
        assert time.monotonic() < ends, "expected the test of the other host to run meanwhile"
        time.sleep(0.01)
"""
FIRST = """
from common import *


@pytest.mark.alone
def test_alone(name):
    BUSY.touch(exist_ok=False)
    time.sleep(0.3)
    BUSY.unlink()


def test_meets(name):
    meet(name)


def test_shared(name):
    assert not BUSY.exists()
"""
MODULE = """
from common import *

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module", autouse=True)
def busy():
    BUSY.touch(exist_ok=False)
    yield
    BUSY.unlink()


def test_one(name):
    time.sleep(0.2)


def test_two(name):
    pass
"""


def read_notes(folder: Path) -> list[str]:
    path = folder / "notes"
    return path.read_text().splitlines() if path.exists() else []


def test_hosts_run_in_parallel_except_tests_marked_alone(tmp_path):
    (tmp_path / "inventory").mkdir()
    (tmp_path / "inventory/hosts.yml").touch()
    files = {
        "conftest": 'pytest_plugins = ["tests.hosts.fixtures.scheduling"]',
        "common": COMMON,
        "test_first": FIRST,
        "test_module": MODULE,
    }
    for name, text in files.items():
        (tmp_path / f"{name}.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["-n", "2", "--connection", "ssh", "--hosts", "a,b"]
    scenario = MachineLock(tmp_path / ".lab")
    scenario.enter()
    with subprocess.Popen(
        [*command, "--ansible-inventory", "inventory"], cwd=tmp_path, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)},
    ) as running:  # fmt: skip
        try:
            ends = time.monotonic() + 200
            while running.poll() is None and len(read_notes(tmp_path)) < 2 and time.monotonic() < ends:
                time.sleep(0.05)
            time.sleep(1)
            waiting = read_notes(tmp_path)
        finally:
            scenario.leave()
        output = running.communicate(timeout=300)[0]
    early = [note for note in waiting if note.split()[1] not in ("test_meets", "test_shared")]
    assert len(waiting) >= 2 and not early, (
        f"expected tests marked alone to wait for another scenario, got {waiting}\n{output}"
    )
    assert running.returncode == 0 and "10 passed" in output, output
    notes = read_notes(tmp_path)
    for host in "ab":
        own = [note.split()[1] for note in notes if note.startswith(host)]
        expected = ["test_meets", "test_shared", "test_alone", "test_one", "test_two"]
        assert own == expected, f"expected tests marked alone last, got {own}"
        one = notes.index(f"{host} test_one")
        assert notes[one + 1] == f"{host} test_two", (
            f"expected no other test between tests of a module, got {notes}"
        )
