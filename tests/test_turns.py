"""Hosts that are asked side by side (tests/hosts/turns.py): who waits for whom."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PLUGIN = Path(__file__).parent / "hosts"
# Nobody logs in anywhere: a host is a name, and `met` waits for the test of the other.
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
def changed():
    BUSY.touch(exist_ok=False)
    yield
    BUSY.unlink()


def test_one(name):
    time.sleep(0.2)


def test_two(name):
    pass
"""


def test_hosts_are_asked_at_once_and_some_things_alone(tmp_path):
    (tmp_path / "inventory").mkdir()
    (tmp_path / "inventory/hosts.yml").touch()
    files = {
        "conftest": 'pytest_plugins = ["turns"]',
        "common": COMMON,
        "test_first": FIRST,
        "test_module": MODULE,
    }
    for name, text in files.items():
        (tmp_path / f"{name}.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["-n", "2", "--connection", "ssh", "--hosts", "a,b"]
    done = subprocess.run(
        [*command, "--ansible-inventory", "inventory"], cwd=tmp_path, capture_output=True, text=True,
        timeout=500, env=os.environ | {"PYTHONPATH": str(PLUGIN)},
    )  # fmt: skip
    assert done.returncode == 0 and "10 passed" in done.stdout, done.stdout + done.stderr
    notes = (tmp_path / "notes").read_text().split("\n")[:-1]
    for host in "ab":
        own = [note.split()[1] for note in notes if note.startswith(host)]
        expected = ["test_meets", "test_shared", "test_alone", "test_one", "test_two"]
        assert own == expected, f"expected what is alone last, got {own}"
        one = notes.index(f"{host} test_one")
        assert notes[one + 1] == f"{host} test_two", f"expected nobody between tests of a module, got {notes}"
