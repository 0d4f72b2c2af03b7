"""Rules of the firewall: the variables that declare them, and their networks."""

from __future__ import annotations

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.decanter.stack.plugins.module_utils.ufw_rules import (
    client_limits,
    declared,
    user_rules,
)
from repository import ROOT

ROLE = ROOT / "roles/firewall"
SSH = {"admin_networks": [], "ssh_networks": []}


def test_extra_rules_leave_the_ports_of_sites_open():
    defaults = DataLoader().load_from_file(str(ROLE / "defaults/main.yml"), trusted_as_template=True)
    (task,) = (
        task
        for task in yaml.safe_load((ROLE / "tasks/main.yml").read_text())
        if any(name.endswith("ufw_apply") for name in task)
    )
    (arguments,) = (value for name, value in task.items() if name.endswith("ufw_apply"))
    variables = defaults | {"firewall_extra_rules": [{"port": 8000}]}
    rules = Templar(DataLoader(), variables=variables).template(trust_as_template(arguments["rules"]))
    # A rule with an empty list of networks, as that of HTTP/3 by default, opens nothing.
    got = [str(rule["port"]) for rule in rules if rule.get("from") != []]
    assert got == ["80", "443", "8000"], f"expected the default rules and the extra one, got ports {got}"


@pytest.mark.parametrize(
    ("source", "networks"),
    [
        ({}, ["0.0.0.0/0", "::/0"]),
        ({"from": ["10.0.0.0/8"]}, ["10.0.0.0/8"]),
        ({"from": []}, []),
    ],
)
def test_rule_without_networks_opens_its_port_to_no_address(source, networks):
    rules = declared(SSH | {"rules": [{"port": 443, **source}]}, [22])
    assert [str(rule.network) for rule in rules] == networks, rules


LIMITS = {"ports": ["80", "443"], "connections": 300, "rate": 40, "exempt": ["10.0.0.7/8", "fd00::/8"]}


@pytest.mark.parametrize(
    ("version", "prefix", "exempt", "mask"), [(4, "ufw", "10.0.0.0/8", 32), (6, "ufw6", "fd00::/8", 64)]
)
def test_client_limits_count_ipv4_addresses_and_ipv6_networks(version, prefix, exempt, mask):
    lines = user_rules([], version, client_limits({"client_limits": LIMITS})).splitlines()
    chain = f"-A {prefix}-client-limit "
    got = [line.removeprefix(chain) for line in lines if line.startswith(chain)]
    assert got[0] == f"-s {exempt} -j RETURN", f"expected {exempt} to be exempt first, got {got}"
    assert f"--connlimit-above 300 --connlimit-mask {mask} --connlimit-saddr" in got[1], got
    assert "--hashlimit-above 40/sec --hashlimit-burst 300" in got[2], got
    assert ("--hashlimit-srcmask 64" in got[2]) == (version == 6), got
    jump = f"-A {prefix}-user-input -p tcp -m multiport --dports 80,443 -j {prefix}-client-limit"
    assert jump in lines, f"expected {jump}, got {lines}"


def test_client_limits_precede_the_rules_that_accept():
    rules = declared(SSH | {"rules": [{"port": 443}]}, [22])
    lines = user_rules(rules, 4, client_limits({"client_limits": LIMITS})).splitlines()
    limit, accept = (
        next(number for number, line in enumerate(lines) if line.endswith(end))
        for end in ("-j ufw-client-limit", "--dport 443 -j ACCEPT")
    )
    assert limit < accept, f"expected the limit before line {accept}, got line {limit}"


@pytest.mark.parametrize("change", [{"ports": []}, {"connections": 0, "rate": 0}])
def test_disabled_client_limits_leave_empty_chains(change):
    lines = user_rules([], 4, client_limits({"client_limits": LIMITS | change})).splitlines()
    got = [line for line in lines if "client-limit" in line and not line.startswith(":")]
    assert got == [], f"expected no rule, got {got}"
