"""Accounts of operators. No site can have such a name, because a site has a Unix user with its id."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.decanter.stack.plugins.plugin_utils.inventory_validation.variables import (
    Hostvars,
    Variables,
    list_of,
    text_of,
)


def account_errors(hostvars: Hostvars, hosts: Iterable[str], sites: Mapping[Any, Any]) -> Iterator[str]:
    """Yield one line for each site with the name of an operator's account, with its first host."""
    owners: dict[str, str] = {}
    for host in hosts:
        for variable, name in account_names(hostvars[host]):
            owners.setdefault(name, f"hosts.{host}.{variable}")
    for site_id in sites:
        if isinstance(site_id, str) and (owner := owners.get(site_id)):
            expected = f"another site id, because {owner} has this name and sites have no login"
            yield f'sites.{site_id}: found the name "{site_id}", expected {expected}'


def account_names(variables: Variables) -> Iterator[tuple[str, str]]:
    """Yield the variables with the names of accounts, and the names."""
    for variable in ("ansible_user", "ansible_ssh_user"):
        if name := text_of(variables, variable):
            yield variable, name
    for index, admin in enumerate(list_of(variables, "base_admins") or []):
        if isinstance(admin, Mapping):
            yield f"base_admins[{index}].name", str(admin.get("name"))
