"""The Python environments of a site's releases."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.decanter.stack.plugins.module_utils.site import Site


def marker(environment: Path) -> Path:
    """Return the path of the marker file of an environment. It exists if the environment is complete."""
    return environment.with_name(f"{environment.name}.json")


def is_complete(environment: Path) -> bool:
    return marker(environment).exists() and environment.is_dir()


def environments(site: Site) -> list[Path]:
    """Return the complete environments of a site, the newest first."""
    found = [path for path in site.venvs.glob("*Z-*") if path.is_dir() and is_complete(path)]
    return sorted(found, key=lambda path: path.name, reverse=True)
