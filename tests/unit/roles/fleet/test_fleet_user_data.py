"""The script with which a host of a fleet starts, and its lock file."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from repository import ROOT

FLEET = {
    "bucket": "staging-media",
    "prefix": "decanter",
    "region": "eu-west-1",
    "hook": "ready",
    "vault_parameter": "/decanter/staging/vault-password",
}


@pytest.fixture(scope="module")
def user_data() -> str:
    path = ROOT / "roles/aws/templates/user_data.sh.j2"
    templar = Templar(DataLoader(), {"aws_fleet": FLEET, "ansible_managed": "Ansible managed"})
    return str(templar.template(trust_as_template(path.read_text()), escape_backslashes=False))


def test_user_data_is_a_valid_script_below_16_kb(user_data):
    assert user_data.startswith("#!/bin/bash\n")
    assert len(user_data.encode()) < 16384, f"expected less than 16 KB, got {len(user_data)}"
    done = subprocess.run(["bash", "-n"], input=user_data, capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done.stderr
    (program,) = re.findall(r"<<'PYTHON'\n(.*?)\nPYTHON\n", user_data, re.S)
    compile(program, "user_data", "exec")
    (settings,) = re.findall(r"<<'JSON'\n(.*?)\nJSON\n", user_data, re.S)
    assert json.loads(settings) == FLEET


def test_units_of_user_data_are_valid(user_data, tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    for name, text in re.findall(r"system/(\S+) <<'UNIT'\n(.*?)\nUNIT\n", user_data, re.S):
        (tmp_path / name).write_text(f"{text}\n")
    done = subprocess.run(
        ["systemd-analyze", "verify", *map(str, tmp_path.iterdir())], capture_output=True, text=True
    )
    lines = [line for line in done.stderr.splitlines() if "decanter-fleet" in line]
    assert not lines, lines


def test_lock_file_has_the_imports_of_the_plugins():
    """A bootstrap runs the plugins on the host, with the packages of this lock file only."""
    known = {*sys.stdlib_module_names, "ansible", "ansible_collections", "jinja2", "yaml"}
    lock = (ROOT / "roles/fleet/files/ansible.txt").read_text()
    for kind in ("action", "callback", "filter"):
        for path in sorted((ROOT / "plugins" / kind).glob("*.py")):
            # Functions import modules that only the controller needs.
            found = re.findall(r"^(?:import|from) (\w+)", path.read_text(), re.M)
            missing = [name for name in found if name not in known and f"\n{name}==" not in f"\n{lock}"]
            assert not missing, f"{path.name}: expected {missing} in roles/fleet/files/ansible.in"


def test_lock_file_has_the_versions_of_the_controller():
    """bin/lock uses requirements.txt as constraints."""
    lock = (ROOT / "roles/fleet/files/ansible.txt").read_text()
    pinned = set(re.findall(r"^\S+==\S+", lock, re.M))
    assert "ansible-core" in {pin.split("==")[0] for pin in pinned} and sys.version_info >= (3, 11)
    missing = pinned - set(re.findall(r"^\S+==\S+", (ROOT / "requirements.txt").read_text(), re.M))
    assert not missing, f"expected the versions in requirements.txt, got {missing}"
