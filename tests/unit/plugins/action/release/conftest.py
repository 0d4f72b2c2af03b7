"""Fixtures of the tests of the action release."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.decanter.stack.plugins.action import release
from git_repository import SSH, Repository


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """Nobody's own git configuration, and a cache of this test's own."""
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
    """A folder where the ssh that git calls writes down what it was told."""
    notes, programs = tmp_path / "notes", tmp_path / "programs"
    for folder in (notes, programs):
        folder.mkdir()
    (programs / "ssh").write_text(SSH)
    (programs / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("SSH_NOTES", str(notes))
    return notes
