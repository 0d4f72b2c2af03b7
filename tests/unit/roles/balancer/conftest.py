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
        members = [{"name": name, "address": "127.0.0.1", "port": 1} for name in hosts or ("web1", "web2")]
        one = service.Balancer(SETTINGS | {"hosts": members, "sites": list(sites)} | settings, *folders)
        one.prepare()
        return one

    return make
