"""Fixtures of the tests of the action release."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.decanter.stack.plugins.action import release
from git_repository import SSH, Repository


@pytest.fixture(autouse=True)
def isolated_git(tmp_path, monkeypatch):
    """Isolate git's configuration and the cache of repositories."""
    for name, value in {
        "XDG_CACHE_HOME": tmp_path / "cache",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "TMPDIR": tmp_path,
    }.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr(release.tempfile, "tempdir", str(tmp_path))


@pytest.fixture
def repository(tmp_path) -> Repository:
    return Repository(tmp_path / "repository")


@pytest.fixture
def ssh(tmp_path, monkeypatch) -> Path:
    """Install a stub of ssh, and return the folder in which it records its calls."""
    records, programs = tmp_path / "records", tmp_path / "programs"
    for folder in (records, programs):
        folder.mkdir()
    (programs / "ssh").write_text(SSH)
    (programs / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("SSH_NOTES", str(records))
    return records
