"""Firewall rules of hosts."""

from __future__ import annotations

import pytest
from ansible_collections.decanter.stack.plugins.filter.inventory_check import inventory_errors
from inventory_lines import GROUPS, SITES

WEB_RULES = [{"port": 80}, {"port": "443"}]


class Unresolved(dict):
    """A rule with templates that require facts of the host."""

    def __getitem__(self, key):
        raise RuntimeError(key)


@pytest.mark.parametrize(
    "variables",
    [
        {"firewall_rules": [*WEB_RULES, {"port": 8000}]},
        {"firewall_rules": [{"port": "80:443"}]},
        {"firewall_rules": [], "firewall_extra_rules": WEB_RULES},
        {"firewall_extra_rules": [{"port": 8000}]},
        {"firewall_rules": [], "firewall_enabled": False},
        {"firewall_rules": [{"port": 80, "from": []}, {"port": 443, "from": ["10.0.0.0/8"]}]},
        {"firewall_rules": [Unresolved(port=1)]},
    ],
)
def test_firewall_rules_with_the_ports_of_sites_are_accepted(variables):
    assert inventory_errors({"web1": variables}, GROUPS, SITES) == []


@pytest.mark.parametrize(
    ("rules", "found"),
    [
        ([], "no rule for ports 80 and 443"),
        ([{"port": 8000}], "no rule for ports 80 and 443"),
        ([{"port": 443}], "no rule for port 80"),
        ([{"port": 80}, {"port": 443, "proto": "udp"}], "no rule for port 443"),
        ([{"port": "81:443"}], "no rule for port 80"),
    ],
)
def test_firewall_rules_that_close_the_ports_of_sites_are_rejected(rules, found):
    hosts = {host: {"firewall_rules": rules} for host in ("web1", "balancer1", "other")}
    hosts["balancer1"]["balancer_address"] = hosts["web1"]["balancer_address"] = "10.1.2.3"
    groups = {"all": list(hosts), "web": ["web1"], "balancer": ["balancer1"]}
    (got,) = inventory_errors(hosts, groups, {"plain": {}})
    assert got == (
        f"hosts.web1.firewall_rules: found {found}, expected ports 80 and 443, at which sites are served. "
        "Use firewall_extra_rules to open further ports."
    )
