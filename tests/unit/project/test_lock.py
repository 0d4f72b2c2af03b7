"""`make lock` writes every lock file or a named one; `bin/test unit -- …` passes arguments to pytest."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from repository import ROOT, repository_files


@pytest.fixture
def checkout(tmp_path):
    """A checkout with the commands, and a uv, Pythons, npm and pytest that only print their arguments."""
    shutil.copytree(ROOT / "bin", tmp_path / "bin")
    for stub in ("bin/lock-pythons", "bin/setup", ".venv/bin/uv", ".venv/bin/pytest", "stubs/npm"):
        path = tmp_path / stub
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'#!/bin/sh\necho {path.name} "$@"\n')
        path.chmod(0o755)
    (tmp_path / "tools/audit/auditor").mkdir(parents=True)
    return tmp_path


def run(checkout: Path, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PATH": f"{checkout}/stubs:{os.environ['PATH']}"}
    return subprocess.run(
        [checkout / command, *arguments], env=environment, capture_output=True, text=True, timeout=60
    )


def lock_output(checkout: Path, *arguments: str) -> list[str]:
    done = run(checkout, "bin/lock", *arguments)
    assert done.returncode == 0, done.stderr
    return [line.split()[-1] for line in done.stdout.splitlines()]


def test_lock_covers_every_requirements_file(checkout):
    present = [path for path in repository_files() if path.endswith(".in")]
    written = lock_output(checkout)
    assert sorted(path for path in written if path.endswith(".in")) == present
    assert written[-2:] == [".venv/bin/uv", "--omit-lockfile-registry-resolved"], written


@pytest.mark.parametrize(
    ("only", "path"),
    [
        ("certbot", "roles/certbot/files/certbot.in"),
        ("certbot.in", "roles/certbot/files/certbot.in"),
        ("requirements", "requirements.in"),
        ("app/requirements-dev", "app/requirements-dev.in"),
        ("pythons", ".venv/bin/uv"),
        ("package-lock", "--omit-lockfile-registry-resolved"),
    ],
)
def test_lock_only_writes_one_file(checkout, only, path):
    assert lock_output(checkout, only) == [path]


def test_lock_only_rejects_an_unknown_name(checkout):
    done = run(checkout, "bin/lock", "certbit")
    assert done.returncode == 2, done.stdout
    assert done.stderr.startswith("lock: found certbit, expected one of:\nrequirements\n"), done.stderr
    assert done.stdout == "", done.stdout


def test_arguments_after_two_hyphens_reach_pytest(checkout):
    done = run(checkout, "bin/test", "unit", "--", "-k", "nginx or mysql", "-x")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "pytest -q -n 2 -p no:cacheprovider tests/unit -k nginx or mysql -x\n" in done.stdout


def test_arguments_for_a_part_without_pytest_are_rejected(checkout):
    done = run(checkout, "bin/test", "unit", "lint", "--", "-k", "nginx")
    assert done.returncode == 2, done.stdout
    assert done.stderr == "test: found lint with arguments after --, expected unit or app\n"


@pytest.mark.parametrize("arguments", [[], ["--", "-k", "nginx"]])
def test_usage_is_printed_without_parts(checkout, arguments):
    done = run(checkout, "bin/test", *arguments)
    assert done.returncode == 2, done.stdout
    assert done.stdout.startswith("test PART…"), done.stdout
    assert "bin/test unit -- -k nginx" in done.stdout, done.stdout
