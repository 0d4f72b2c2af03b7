"""The folder, inventory, set-ups of Ansible and copies of Harbour of the benchmark `baseline`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tools.library import ACCELERATED, MITOGEN, PLAIN, ROOT, Record

NAME = "bench"
WORK = ROOT / ".lab" / NAME
INVENTORIES = [ROOT / "tools/bench/inventory", WORK / "hosts.yml"]
SITES_FILE = WORK / "sites.json"
# Environment variables of Ansible.
SETUPS = {"plain": PLAIN} | ({"mitogen": MITOGEN} if ACCELERATED else {})
TITLES = {"plain": "Plain Ansible", "mitogen": "With Mitogen"}
# Git does not track these: environments, caches, a developer's database.
UNTRACKED = (".*", "__pycache__", "instance")


def copy_harbour(folder: Path) -> None:
    """Copy the tracked files of Harbour to a folder, which is replaced."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "app", folder, ignore=shutil.ignore_patterns(*UNTRACKED))


def write_sites(sites: Record) -> None:
    """Write `sites` to a file of variables for ansible-playbook."""
    SITES_FILE.write_text(json.dumps({"sites": sites}))
