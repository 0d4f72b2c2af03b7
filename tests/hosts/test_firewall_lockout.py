"""A run that is killed while it enables the firewall does not lock the operator out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.hosts.fixtures.lab import login

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def log_in(variables: dict) -> str:
    """Log in over a new connection. Return `in`, or the error of ssh."""
    options = [
        "-o",
        "ControlMaster=no",
        "-o",
        "ControlPath=none",
        "-o",
        "ConnectTimeout=5",
        "-o",
        "BatchMode=yes",
    ]
    command = ["ssh", *options, *login(variables), "echo in"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=30)
    return (run.stdout or run.stderr).strip()


def start_playbook(variables: dict, inventory: str) -> subprocess.Popen:
    arguments = ["-i", inventory, "--limit", variables["inventory_hostname"], HERE / "firewall.yml"]
    playbook = Path(sys.executable).with_name("ansible-playbook")
    return subprocess.Popen(
        [playbook, *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True, env=os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
    )  # fmt: skip


@pytest.mark.parametrize("seconds", [1.5, 2.0, 2.5, 3.0, 3.5, 4.0])
def test_firewall_run_killed_allows_login(host, variables, request, seconds):
    inventory = request.config.getoption("--ansible-inventory")
    with host.sudo():
        host.check_output("ufw --force reset")
    assert log_in(variables) == "in"

    run = start_playbook(variables, inventory)
    time.sleep(seconds)
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate()

    got = log_in(variables)
    assert got == "in", f"killed after {seconds} s: expected a login, got {got}"
    # The next boot loads the files that the killed run wrote.
    with host.sudo():
        host.run("systemctl restart ufw")
    got = log_in(variables)
    assert got == "in", f"killed after {seconds} s, then booted: expected a login, got {got}"

    run = start_playbook(variables, inventory)
    output, _ = run.communicate(timeout=120)
    assert run.returncode == 0, f"expected the next run to succeed, got {output}"
    with host.sudo():
        status = host.check_output("ufw status")
    assert "Status: active" in status and "443/tcp" in status, f"expected the declared rules, got {status}"
