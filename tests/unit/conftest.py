"""Import the collection as Ansible does, through the link that bin/setup creates."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
from ansible.plugins.loader import init_plugin_loader
from collection import COLLECTIONS

# Helper modules with assertions: pytest shows the values of a failed one.
pytest.register_assert_rewrite(
    "git_repository",
    "lock_files",
    "managed_python_host",
    "new_site_inventory",
    "nginx_configuration",
    "release_runs",
    "sites_tables",
    "systemd_units",
    "takeover_trees",
    "templates_rendering",
)
init_plugin_loader([str(COLLECTIONS)])
# Programs of hosts import this package from their own folder.
sys.modules["shared"] = importlib.import_module(
    "ansible_collections.decanter.stack.plugins.module_utils.shared"
)


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the folder at which relative paths start, with an application in it."""
    path = tmp_path_factory.mktemp("root")
    (path / "app/src/harbour/static").mkdir(parents=True)
    (path / "app/pyproject.toml").touch()
    (path / "tls").mkdir()
    (path / "tls/site.crt").touch()
    (path / "outside").mkdir()
    (path / "app/link").symlink_to(path / "outside")
    (path / "app/loop").symlink_to(path / "app/loop")
    return str(path)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder for stubs of programs, which comes first in PATH."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder
