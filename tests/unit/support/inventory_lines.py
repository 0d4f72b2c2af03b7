"""Inventories and the errors of their databases."""

from __future__ import annotations

from ansible_collections.decanter.stack.plugins.filter.inventory_check import inventory_errors

SITES = {"harbour": {"database": {"engine": "mysql"}}}
GROUPS = {"all": ["web1"], "web": ["web1"], "database": ["web1"]}


def database_lines(web: str, database: str, **variables: dict[str, object]) -> list[str]:
    """Return the errors of hosts. Each has the variables of its name and those of `common`."""
    groups = {"web": web.split(), "database": database.split()}
    groups["all"] = sorted({*groups["web"], *groups["database"]})
    common = variables.get("common", {})
    return inventory_errors({host: common | variables.get(host, {}) for host in groups["all"]}, groups, SITES)


ELSEWHERE = {"mysql_host": "db.test", "mysql_ca_file": "ca.pem"}


BALANCED = {"all": ["web1", "lb1"], "web": ["web1"], "database": ["web1"], "balancer": ["lb1"]}
BEHIND = {"web1": {"ansible_host": "10.1.2.3"}, "lb1": {"ansible_host": "10.1.2.4"}}
