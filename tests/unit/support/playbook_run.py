"""Run a playbook with the settings of the repository."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from repository import ROOT


def run_playbook(playbook: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Return the finished process of ansible-playbook, with its output in plain text."""
    command = [Path(sys.executable).with_name("ansible-playbook"), playbook, *arguments]
    environment = os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120)
