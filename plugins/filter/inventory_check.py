"""Filters that validate an inventory, except its `sites`.

plugins/plugin_utils/inventory_validation has one module for each subject.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.decanter.stack.plugins.plugin_utils.inventory_files.positions import with_positions
from ansible_collections.decanter.stack.plugins.plugin_utils.inventory_files.syntax import syntax_errors
from ansible_collections.decanter.stack.plugins.plugin_utils.inventory_validation.accounts import (
    account_errors,
)
from ansible_collections.decanter.stack.plugins.plugin_utils.inventory_validation.balancers import (
    balancer_errors,
)
from ansible_collections.decanter.stack.plugins.plugin_utils.inventory_validation.certificates import (
    certificate_errors,
    successor_errors,
)
from ansible_collections.decanter.stack.plugins.plugin_utils.inventory_validation.firewall import (
    firewall_errors,
)
from ansible_collections.decanter.stack.plugins.plugin_utils.inventory_validation.mail import mail_errors
from ansible_collections.decanter.stack.plugins.plugin_utils.inventory_validation.python_builds import (
    python_build_errors,
)
from ansible_collections.decanter.stack.plugins.plugin_utils.inventory_validation.role_values import (
    role_value_errors,
)
from ansible_collections.decanter.stack.plugins.plugin_utils.inventory_validation.topology import (
    address_errors,
    cloud_errors,
    database_host,
    group_errors,
)
from ansible_collections.decanter.stack.plugins.plugin_utils.inventory_validation.variables import (
    Groups,
    Hostvars,
    variable_errors,
)


def inventory_errors(
    hostvars: Hostvars, groups: Groups, sites: Any, sources: Iterable[str] = ()
) -> list[str]:
    """Return one line for each error, with its path, the value found and the value expected.

    The inventory comes from the sources, files and folders on the controller.
    """
    hosts, web = groups.get("all", []), groups.get("web") or []
    serving = dict.fromkeys([*web, *(groups.get("balancer") or [])])
    return [
        *syntax_errors(map(str, sources)),
        *cloud_errors(hostvars, hosts, sources),
        *address_errors(hostvars, hosts),
        *variable_errors(hostvars, hosts),
        *role_value_errors(hostvars, hosts),
        *mail_errors(hostvars, hosts),
        *python_build_errors(hostvars, web),
        *group_errors(hostvars, groups, sites),
        *firewall_errors(hostvars, serving),
        *successor_errors(hostvars, hosts),
        *balancer_errors(hostvars, groups),
        *(certificate_errors(hostvars, groups, sites) if isinstance(sites, Mapping) else ()),
        *(account_errors(hostvars, web, sites) if isinstance(sites, Mapping) else ()),
    ]


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {
            "inventory_errors": inventory_errors,
            "database_host": database_host,
            "with_positions": with_positions,
        }
