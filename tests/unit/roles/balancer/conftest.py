"""Fixtures of the tests of the balancer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from balancer_program import SETTINGS, SITE, service


@pytest.fixture
def folders(tmp_path) -> tuple[Path, Path]:
    for name in ("run", "state"):
        (tmp_path / name).mkdir()
    return tmp_path / "run", tmp_path / "state"


@pytest.fixture
def balancer(folders) -> Callable[..., Any]:
    def make(*hosts: str, sites: tuple[dict[str, Any], ...] = (SITE,), **settings: Any) -> Any:
        named = [{"name": name, "address": "127.0.0.1", "port": 1} for name in hosts or ("web1", "web2")]
        made = service.Balancer(SETTINGS | {"hosts": named, "sites": list(sites)} | settings, *folders)
        made.prepare()
        return made

    return make
