"""Shell code in tasks and templates passes shellcheck; bin/test lint checks the scripts that are files."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from repository import ROOT

SHELLCHECK = Path(sys.executable).with_name("shellcheck")


class Loader(yaml.SafeLoader):
    """A loader that ignores the tags of Ansible."""


Loader.add_multi_constructor("!", lambda loader, suffix, node: None)


def shell_tasks(node: Any) -> Iterator[str]:
    """Return the commands of ansible.builtin.shell, also those in blocks."""
    if isinstance(node, list):
        for item in node:
            yield from shell_tasks(item)
    elif isinstance(node, dict):
        shell = node.get("ansible.builtin.shell")
        if shell:
            text = shell if isinstance(shell, str) else shell["cmd"]
            kind = (node.get("args") or {}).get("executable") or (
                shell.get("executable") if isinstance(shell, dict) else None
            )
            yield f"#!{kind or '/bin/sh'}\n{text}"
        for value in node.values():
            yield from shell_tasks(value)


def untemplated(text: str) -> str:
    """Replace each expression by a word, and remove statements."""
    return re.sub(r"\{%.*?%\}", "", re.sub(r"\{\{.*?\}\}", "word", text, flags=re.S), flags=re.S)


def findings(script: str) -> str:
    return subprocess.run([SHELLCHECK, "-"], input=script, capture_output=True, text=True).stdout


def task_files() -> list[Path]:
    folders = ("roles", "playbooks", "molecule", "tests/lab", "tools")
    found = [path for folder in folders for path in (ROOT / folder).rglob("*.yml")]
    return sorted(path for path in found if "ansible.builtin.shell:" in path.read_text())


@pytest.mark.parametrize("path", [str(path.relative_to(ROOT)) for path in task_files()])
def test_shell_tasks_pass_shellcheck(path):
    scripts = list(shell_tasks(yaml.load((ROOT / path).read_text(), Loader)))
    assert scripts, f"{path}: expected a shell task, found none"
    found = "\n".join(filter(None, (findings(untemplated(script)) for script in scripts)))
    assert not found, f"{path}: {found}"


@pytest.mark.parametrize(
    "path", sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("roles/*/templates/**/*.sh.j2"))
)
def test_shell_templates_pass_shellcheck(path):
    found = findings(untemplated((ROOT / path).read_text()))
    assert not found, f"{path}: {found}"


def test_shellcheck_reports_a_fault():
    assert "SC2086" in findings("#!/bin/sh\nrm $1\n")
