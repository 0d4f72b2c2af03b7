"""Fixtures of the tests of a takeover."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def source(tmp_path) -> Iterator[Path]:
    """Return a folder that the builder owns."""
    path = tmp_path / "source"
    path.mkdir()
    yield path
    # pytest cannot remove deeply nested folders.
    subprocess.run(["rm", "-rf", str(path), str(tmp_path / "target")], check=True)


@pytest.fixture
def target(tmp_path) -> Path:
    return tmp_path / "target"


@pytest.fixture
def outside(tmp_path) -> Path:
    """Return a file outside of the build that only root may read and write."""
    path = tmp_path / "outside"
    path.write_text("secret")
    path.chmod(0o600)
    return path
