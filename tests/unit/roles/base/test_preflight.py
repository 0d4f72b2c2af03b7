"""The preflight script of the role base reports the Pythons that sites need and the units of services."""

from __future__ import annotations

import os
import subprocess
from typing import Any

import pytest
import yaml
from repository import ROOT

SCRIPT = ROOT / "roles/base/files/preflight"


@pytest.fixture
def preflight(tmp_path, monkeypatch):
    """Return a function that runs the script on this machine, with stubs of apt-cache and ls."""
    tools = tmp_path / "tools"
    tools.mkdir()
    # As in apt, `show` treats a name as a pattern; `pkgnames` prints all names that start with it.
    (tools / "apt-cache").write_text(
        "#!/bin/sh\n[ $1 = show ] || printf '%s\\n' python3.12 python3.12-venv python3.13-doc\n"
    )
    (tools / "apt-cache").chmod(0o755)
    (tools / "ls").write_text(
        '#!/bin/sh\n[ $1 = /etc/systemd/system/multi-user.target.wants ] || exec /bin/ls "$@"\n'
        "printf '%s.service\\n' cron getty@tty1 redis@a-b memcached@null\n"
    )
    (tools / "ls").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")

    def run(*pythons: str) -> dict[str, Any]:
        text = f"python=python3 admins=nobody absent=\npythons='{' '.join(pythons)}'\n{SCRIPT.read_text()}"
        done = subprocess.run(["sh", "-c", text], capture_output=True, text=True, timeout=60)
        return yaml.safe_load(done.stdout)

    return run


def test_pythons_are_found_by_path_then_by_package(preflight, tmp_path):
    program = tmp_path / "opt/python3.13/bin/python3.13"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/executed\n")
    program.chmod(0o755)
    (tmp_path / "text").touch(mode=0o644)
    nowhere = f"{tmp_path}/nowhere/python3.12"
    found = preflight(
        f"python3.13={nowhere}:{tmp_path}/opt/python*/bin/python3.13",
        f"python3.12={nowhere}",
        f"python3.13={nowhere}",
        f"python3.1={nowhere}",
        f"={tmp_path}/text",
        f"={program.parent}",
    )["pythons"]
    assert found == [str(program), "apt", "", "", "", ""], found
    assert not (tmp_path / "executed").exists(), "expected no interpreter to be executed"


def test_processor_is_reported(preflight):
    assert preflight()["machine"] == os.uname().machine


def test_instances_that_start_at_boot_are_reported(preflight):
    assert preflight()["instances"] == ["getty@tty1", "redis@a-b", "memcached@null"]
