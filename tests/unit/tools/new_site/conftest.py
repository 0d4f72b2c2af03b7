"""Fixtures of the tests of new-site."""

from __future__ import annotations

from pathlib import Path

import pytest
from new_site_command import APP, command, files, location
from new_site_inventory import BEFORE


@pytest.fixture
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the sites of the environment production, in a temporary checkout."""
    root = tmp_path / "checkout"
    monkeypatch.setattr(command, "ROOT", root)
    monkeypatch.setattr(location, "ROOT", root)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    for environment in ("lab", "production"):
        folder = root / "inventories" / environment / "group_vars/all"
        folder.mkdir(parents=True)
        (folder / "sites.yml").write_text(BEFORE)
    return folder / "sites.yml"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return files(tmp_path / "shop", {"app.py": APP, "requirements.txt": "flask\n"})
