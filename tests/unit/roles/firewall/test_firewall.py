"""Rules of the firewall: the variables that declare them, and their networks."""

from __future__ import annotations

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.decanter.stack.plugins.module_utils.ufw_rules import declared
from repository import ROOT

ROLE = ROOT / "roles/firewall"
SSH = {"admin_networks": [], "ssh_networks": []}


def test_extra_rules_leave_the_ports_of_sites_open():
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
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
