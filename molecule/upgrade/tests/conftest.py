"""Fixtures of the scenario."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[3]
pytest_plugins = ["tests.hosts.fixtures.lab"]
