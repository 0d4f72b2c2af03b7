"""Database engines by their names in `database.engine`. A new engine is a module here, and a role."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.decanter.stack.plugins.module_utils.databases.engine import Engine
from ansible_collections.decanter.stack.plugins.module_utils.databases.mysql import MySQL

ENGINES: dict[str, Engine] = {"mysql": MySQL()}


def schema(site: str, database: Mapping[str, Any]) -> dict[str, str]:
    """Return the schema of a site's `database`, as Engine.schema describes it."""
    return engine_of(database).schema(site, database["name"])


def dump(site: str, database: Mapping[str, Any], path: Path) -> None:
    """Write the whole `database` of a site to a compressed file; see Engine.dump."""
    engine_of(database).dump(site, database["name"], path)


def engine_of(database: Mapping[str, Any]) -> Engine:
    """Return the engine of a site's `database`."""
    return ENGINES[database["engine"]]
