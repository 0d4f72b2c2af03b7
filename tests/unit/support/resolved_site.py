"""A site with few keys, as an inventory defines it, and resolved for roles and modules."""

from __future__ import annotations

from typing import Any

from ansible_collections.decanter.stack.plugins.filter.sites import resolve_sites

PLAIN = {"server_names": ["plain.test"], "source": {"path": "../plain"}, "wsgi": "myproject:app"}


def entry(name: str = "plain", **changes: Any) -> dict[str, Any]:
    """Return `sites` with one site."""
    return {name: {**PLAIN, **changes}}


def resolved(name: str = "plain", *, host: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """Return the one site of `entry`, resolved."""
    return resolve_sites(entry(name, **changes), host)[0]
