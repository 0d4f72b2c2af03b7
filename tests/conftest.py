"""Import the collection as Ansible does, through the link that bin/setup creates."""

from __future__ import annotations

import pytest
from ansible.plugins.loader import init_plugin_loader
from collection import COLLECTIONS

init_plugin_loader([str(COLLECTIONS)])


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder that relative paths start from, with an application in it."""
    path = tmp_path_factory.mktemp("root")
    (path / "app/src/harbour/static").mkdir(parents=True)
    (path / "app/pyproject.toml").touch()
    (path / "tls").mkdir()
    (path / "tls/site.crt").touch()
    (path / "outside").mkdir()
    (path / "app/link").symlink_to(path / "outside")
    (path / "app/loop").symlink_to(path / "app/loop")
    return str(path)
