"""Rules that compare sites: names that only one site may have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.messages import (
    Steps,
    dotted_path,
    error_line,
)
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.placeholders import (
    is_placeholder_name,
    placeholder_line,
)
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.schema import database_name
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.values import (
    part,
    server_address,
)


def server_name_errors(sites: dict[Any, Any]) -> Iterator[str]:
    owners: dict[Any, Steps] = {}
    for site_id, site in sites.items():
        # Another site may use the names of an absent site. path_errors checks the name of a site with a path.
        served = is_present(site) and not part(site, "path", kind=str)
        for index, name in enumerate(part(site, "server_names", kind=list)):
            if not isinstance(name, str):
                continue
            steps = (site_id, "server_names", index)
            if served:
                yield from owner_lines(owners, server_address(name) or name.lower(), steps, name)
            if is_placeholder_name(name):
                yield placeholder_line(steps, name, "your own name")


def is_present(site: Any) -> bool:
    return part(site, "state", kind=str) != "absent"


def database_name_errors(sites: dict[Any, Any]) -> Iterator[str]:
    """Yield the errors of database names, also of absent sites, because their databases still exist."""
    owners: dict[Any, Steps] = {}
    for site_id, site in sites.items():
        if database := part(site, "database"):
            name = database.get("name", database_name(site_id))
            if isinstance(name, str):
                yield from owner_lines(owners, name, (site_id, "database", "name"), name)


def owner_lines(owners: dict[Any, Steps], key: Any, steps: Steps, name: str) -> Iterator[str]:
    """Record the owner of a name. Yield a line if the name has another owner."""
    owner = owners.setdefault(key, steps)
    if owner != steps:
        yield error_line(steps, name, expected=f"a name that {dotted_path(owner)} does not have")
