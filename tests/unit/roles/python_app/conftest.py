"""Fixtures of the tests of builds."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import pytest
from python_wheels import wheel
from repository import ROOT
from uv_program import find_uv

VERSION = platform.python_version()
PROGRAM = ROOT / "roles/python_app/files/build"
sys.path.insert(0, str(PROGRAM))  # as the host runs it: a folder with a __main__

from uv import Uv  # noqa: E402


@pytest.fixture(scope="session")
def package_folder(tmp_path_factory) -> Path:
    """Return a folder with all packages that these tests install."""
    folder = tmp_path_factory.mktemp("packages")
    wheel(folder, "flask", "3.0", "click")
    wheel(folder, "flask", "2.0", "click<8")
    for version in ("7.0", "8.0"):
        wheel(folder, "click", version)
    for name in ("pymysql", "redis", "gunicorn", "gevent", "pytest"):
        wheel(folder, name)
    return folder


@pytest.fixture
def uv(tmp_path, package_folder, monkeypatch) -> Uv:
    for name, value in {
        "UV_FIND_LINKS": str(package_folder),
        "UV_OFFLINE": "1",
        "UV_CACHE_DIR": str(tmp_path / "cache"),
        "UV_LINK_MODE": "copy",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_PROJECT_ENVIRONMENT": str(tmp_path / "environment"),
    }.items():
        monkeypatch.setenv(name, value)
    tree = tmp_path / "tree"
    tree.mkdir()
    return Uv(tree, tmp_path / "environment", sys.executable, VERSION, True, find_uv())
