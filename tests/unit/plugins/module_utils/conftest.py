"""Fixtures of the tests of a build."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible_collections.decanter.stack.plugins.module_utils import build, interpreter
from ansible_collections.decanter.stack.plugins.module_utils import site as site_module

ID = "20260101T000000Z-abcdef"


@pytest.fixture
def one(tmp_path, monkeypatch) -> build.Build:
    """Return a build of a site with a complete and an incomplete environment."""
    monkeypatch.setattr(interpreter, "about", lambda python: ["/usr", "cpython-313", "3.13.5"])
    site = site_module.Site("shop")
    site.root = tmp_path / "shop"
    site.venvs, site.releases = site.root / "venvs", site.root / "releases"
    for name in ("20250101T000000Z-old", "20250202T000000Z-incomplete"):
        (site.venvs / name).mkdir(parents=True)
    (site.venvs / "20250101T000000Z-old.json").write_text('{"key": "", "resolved": ""}')
    one = build.Build.__new__(build.Build)
    one.site, one.identifier, one.environment = site, ID, site.venvs / ID
    one.folder, one.cache, one.limit = site.root / ".build", tmp_path / "cache", 200 << 20
    one.log = one.folder / "log"
    (one.folder / "results").mkdir(parents=True)
    one.cache.mkdir()
    one.log.write_text("")
    one.properties = [("MemoryMax", "512M"), ("RuntimeMaxSec", "60"), ("LimitFSIZE", "200M")]
    one.wanted = SimpleNamespace(python="/usr/bin/python3", secrets={})
    return one
