"""Hosts that receive the ACME challenges of an inventory."""

from __future__ import annotations

import pytest
from ansible_collections.decanter.stack.plugins.filter.inventory_check import inventory_errors
from inventory_lines import BALANCED, BEHIND, GROUPS, SITES

ACME = {"harbour": {"tls": {"mode": "acme"}}, "old": {"tls": {"mode": "acme"}, "state": "absent"}, "a": {}}


TWO = {"all": ["web1", "web2"], "web": ["web1", "web2"], "balancer": []}
NAMED = {"web1": {"ansible_host": "10.1.2.3"}, "web2": {"ansible_host": "10.1.2.5"}}


def test_hosts_that_may_receive_challenges_need_addresses():
    independent = {
        name: {"ansible_host": f"{name}.provider.net", "web_hosts_independent": True} for name in NAMED
    }
    passthrough = {"lb1": {"ansible_host": "10.1.2.4", "balancer_tls_mode": "passthrough"}}
    network = {"lb1": {"ansible_host": "10.1.2.4", "balancer_address": "10.1.2.0/28"}}
    one = {"all": ["web1"], "web": ["web1"]}
    for hosts, groups in (
        *(
            (NAMED, one),
            ({"web1": {"ansible_host": "web1.provider.net"}}, one),
            (NAMED, TWO),
            (independent, TWO),
        ),
        *((BEHIND, BALANCED), (BEHIND | passthrough, BALANCED), (BEHIND | network, BALANCED)),
    ):
        assert inventory_errors(hosts, groups, ACME) == [], (hosts, groups)


@pytest.mark.parametrize(
    ("hosts", "groups", "found"),
    [
        ({"web2": {"ansible_host": "web2.provider.net"}}, TWO, ("web2", "web2.provider.net")),
        ({"web2": {"balancer_address": "10.1.2.0/28"}}, TWO, ("web2", "10.1.2.0/28")),
        (
            {"lb2": {"ansible_host": "10.1.2.6", "balancer_address": "10.1.2.0/28"}},
            {"all": ["web1", "lb1", "lb2"], "balancer": ["lb1", "lb2"]},
            ("lb2", "10.1.2.0/28"),
        ),
    ],
)
def test_challenge_host_without_an_ip_address_is_rejected(hosts, groups, found):
    host, address = found
    expected = "the IP address at which other hosts request ACME challenges"
    got = inventory_errors(BEHIND | NAMED | hosts, BALANCED | groups, ACME)
    line = f'hosts.{host}.balancer_address: found "{address}", expected {expected}'
    assert line in got, f"expected {line}, got {got}"
    assert line not in inventory_errors(BEHIND | NAMED | hosts, BALANCED | groups, {"harbour": {}})


@pytest.mark.parametrize("found", ["new.provider.net", "10.1.2.0/28", "203.0.113.9", "REPLACE_ME", 5])
def test_challenge_successors_are_ip_addresses(found):
    for value in ([found], ["10.1.2.9", found]):
        got = inventory_errors({"web1": {"nginx_challenge_successors": value}}, GROUPS, SITES)
        expected = f'hosts.web1.nginx_challenge_successors: found "{found}", expected a list of IP addresses'
        assert got == [expected], got
    valid = {"web1": {"nginx_challenge_successors": ["10.1.2.9", "fd00::9"]}}
    assert inventory_errors(valid, GROUPS, SITES) == []


BY_DNS = {"harbour": {"tls": {"mode": "acme", "challenge": "route53"}}}
KEY, SECRET = "certbot_aws_access_key_id", "certbot_aws_secret_access_key"
PASSTHROUGH = {"lb1": {"ansible_host": "10.1.2.4", "balancer_tls_mode": "passthrough"}}


def test_dns_challenge_requires_no_addresses():
    for hosts, groups in (
        (NAMED, {"all": ["web1"], "web": ["web1"]}),
        (NAMED, TWO),
        (BEHIND | PASSTHROUGH, BALANCED),
        (
            BEHIND | {"lb2": {"ansible_host": "10.1.2.6"}},
            BALANCED | {"all": ["web1", "lb1", "lb2"], "balancer": ["lb1", "lb2"]},
        ),
    ):
        assert inventory_errors(hosts, groups, BY_DNS) == [], groups


@pytest.mark.parametrize(
    ("variables", "sites", "missing", "present"),
    [
        ({KEY: "AKIA"}, BY_DNS, SECRET, KEY),
        ({SECRET: "x"}, BY_DNS, KEY, SECRET),
        ({SECRET: "x", KEY: ""}, BY_DNS, KEY, SECRET),
        ({SECRET: "x", KEY: "AKIA"}, BY_DNS, "", ""),
        ({KEY: "AKIA"}, {"harbour": {**BY_DNS["harbour"], "state": "absent"}}, "", ""),
        ({KEY: "AKIA"}, ACME, "", ""),
    ],
)
def test_incomplete_aws_access_key_is_rejected(variables, sites, missing, present):
    hosts = {"web1": {"ansible_host": "10.1.2.3", **variables}}
    expected = f"a value, because {present} is set, or neither if the instance role can write to the zone"
    lines = [f"hosts.web1.{missing}: found nothing, expected {expected}"] if missing else []
    assert inventory_errors(hosts, {"all": ["web1"], "web": ["web1"]}, sites) == lines
