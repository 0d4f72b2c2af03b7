"""Fixtures of the scenario."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
# The fixtures of every scenario's hosts.
sys.path.append(str(ROOT / "tests/hosts"))
pytest_plugins = ["lab"]
