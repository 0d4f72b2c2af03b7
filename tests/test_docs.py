"""The generated documentation is what its sources say, and the written one names what is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_generated_pages_are_current():
    run = subprocess.run([sys.executable, ROOT / "bin/docs", "--check"], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_commands_and_files_exist(page):
    text = (ROOT / page).read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for target in re.findall(r"(?:^|`)make ([a-z-]+)", text, re.M):
        assert target in targets, f"{page} names `make {target}`, expected one of {sorted(targets)}"
    for path in re.findall(r"\]\((?!https?:|#)([^)#]+)\)", text):
        assert (ROOT / path).exists(), f"{page} links to {path}, which does not exist"


@pytest.mark.parametrize("role", sorted(path.name for path in (ROOT / "roles").iterdir()))
def test_a_role_is_whole(role):
    folder = ROOT / "roles" / role
    for part in ("README.md", "defaults/main.yml", "meta/argument_specs.yml", "tasks/main.yml"):
        assert (folder / part).exists(), f"role {role}: expected {part}, found none"
