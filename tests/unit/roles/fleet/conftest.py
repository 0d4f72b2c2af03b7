"""Fixtures of the tests of a fleet."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.decanter.stack.plugins.action import fleet_publish
from fleet_store import Store, content, looks
from repository import ROOT


@pytest.fixture
def store() -> Store:
    pytest.importorskip("boto3", reason="requirements-aws.txt is not installed")
    return Store()


@pytest.fixture
def app(tmp_path) -> dict[str, str]:
    """Return a site's source with an ignored file, an executable file and a link."""
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "app.py").write_text("app = 1\n")
    (folder / "run").write_text("#!/bin/sh\n")
    (folder / "run").chmod(0o755)
    (folder / "link").symlink_to("app.py")
    (folder / ".gitignore").write_text("*.log\n")
    (folder / "secret.log").write_text("no\n")
    return {"path": str(folder)}


@pytest.fixture
def parameters(app, tmp_path, monkeypatch) -> dict[str, Any]:
    """Return the parameters of the action fleet_publish, for one site that is live on two hosts."""
    monkeypatch.setattr(fleet_publish, "collections", lambda: ("v1", [(ROOT / "LICENSE", "LICENSE")]))
    (tmp_path / "inventory/group_vars/all").mkdir(parents=True)
    (tmp_path / "inventory/group_vars/all/sites.yml").write_text("sites: {}\n")
    (tmp_path / "inventory/hosts.yml").write_text("all:\n")
    live = f"20261121T000000Z-{content(app)}"
    return {
        "inventory": str(tmp_path / "inventory"),
        "files": ["LICENSE"],
        "first": "i-1",
        "sources": {"plain": app},
        "looks": looks(app, web1=live, web2=live),
        "live": live,
    }
