"""Filters that validate the dictionary `sites` and add its defaults.

plugins/plugin_utils/site_validation has one module for each subject.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ansible.template import accept_args_markers, accept_lazy_markers
from ansible_collections.decanter.stack.plugins.plugin_utils.plain_data import plain, plain_scalar
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.characters import (
    character_errors,
)
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.cross_site import (
    database_name_errors,
    server_name_errors,
)
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.database import database_errors
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.environment import (
    environment_errors,
)
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.files import file_errors
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.messages import found_words
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.nginx import nginx_errors
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.placeholders import (
    placeholder_errors,
)
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.resources import resource_errors
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.sandbox import sandbox_errors
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.schema import (
    with_defaults,
)
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.site_paths import path_errors
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.source import source_errors
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.structure import structure_errors
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.tls import tls_errors


def plain_key(key: Any, depth: int) -> Any:
    """Return a key as plain data.

    YAML 1.1 reads the key `on` of a timer as true. Only the id of a site stays true.
    """
    return "on" if key is True and depth else plain_scalar(key)


def rule_errors(site_id: Any, site: Any, root: Path, database_host: str) -> Iterator[str]:
    """Yield the errors of one site that a schema cannot express."""
    yield from source_errors(site_id, site, root)
    yield from file_errors(site_id, site, root)
    yield from database_errors(site_id, site, database_host)
    yield from environment_errors(site_id, site)
    yield from sandbox_errors(site_id, site)
    yield from resource_errors(site_id, site)
    yield from tls_errors(site_id, site, root)
    yield from nginx_errors(site_id, site)


@accept_args_markers
@accept_lazy_markers
def site_errors(sites: Any, source_root: Any, database_host: str = "") -> list[str]:
    """Return one line for each error of `sites`, which may be any value; never raise.

    Relative paths in `sites` start at source_root, a folder on the controller. The databases are on
    database_host; without one, on the site's own host.
    """
    data, root = plain(lambda: sites, plain_key), plain(lambda: source_root)
    lines = set(structure_errors(data))
    if not isinstance(root, str):
        lines.add(f"source_root: found {found_words(root, True)}, expected a folder on the controller")
        root = "."
    if isinstance(data, dict):
        lines.update(character_errors(data), placeholder_errors(data))
        lines.update(server_name_errors(data), database_name_errors(data), path_errors(data))
        for site_id, site in data.items():
            lines.update(rule_errors(site_id, site, Path(root), database_host))
    return sorted(lines)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"site_errors": site_errors, "with_defaults": with_defaults}
