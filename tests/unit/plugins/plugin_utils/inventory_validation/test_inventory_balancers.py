"""Balancers of an inventory."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.decanter.stack.plugins.filter.inventory_check import inventory_errors
from inventory_lines import BALANCED, BEHIND, SITES


def test_web_hosts_behind_a_balancer_are_valid():
    assert inventory_errors(BEHIND, BALANCED, SITES) == []
    private = {"ansible_host": "web1.provider.net", "balancer_address": "10.1.2.3"}
    assert inventory_errors(BEHIND | {"web1": private}, BALANCED, SITES) == []
    # The balancers of an Auto Scaling group have addresses of one network.
    network = {"balancer_address": "10.1.2.0/28", "balancer_tls_mode": "passthrough"}
    assert inventory_errors(BEHIND | {"lb1": BEHIND["lb1"] | network}, BALANCED, SITES) == []


INVALID_BALANCERS = {
    "a host in both groups": (
        {},
        {"web": ["web1", "lb1"]},
        "hosts.lb1: found it in the groups web and balancer, expected it in one of them",
    ),
    "a name instead of an address": (
        {"web1": {"ansible_host": "web1.provider.net"}},
        {},
        'hosts.web1.balancer_address: found "web1.provider.net", expected the IP address that web hosts '
        "and balancers use",
    ),
    "a network as the address of a web host": (
        {"web1": {"balancer_address": "10.1.2.0/28"}},
        {},
        'hosts.web1.balancer_address: found "10.1.2.0/28", expected the IP address that web hosts '
        "and balancers use",
    ),
    "a name that is not valid for a socket": (
        {"web 1": {"ansible_host": "10.1.2.3"}},
        {"all": ["web 1", "lb1"], "web": ["web 1"]},
        "hosts.web 1: found this name, expected at most 60 letters, digits, dots, hyphens and underscores "
        "behind a balancer",
    ),
    "unknown mode": (
        {"lb1": {"ansible_host": "10.1.2.4", "balancer_tls_mode": "pass"}},
        {},
        'hosts.lb1.balancer_tls_mode: found "pass", expected one of: terminate, passthrough',
    ),
    "old name of terminate": (
        {"lb1": {"ansible_host": "10.1.2.4", "balancer_tls_mode": "ends"}},
        {},
        'hosts.lb1.balancer_tls_mode: found "ends", which was renamed, expected terminate',
    ),
    "old name of passthrough": (
        {"lb1": {"ansible_host": "10.1.2.4", "balancer_tls_mode": "passes"}},
        {},
        'hosts.lb1.balancer_tls_mode: found "passes", which was renamed, expected passthrough',
    ),
    "different modes": (
        {"lb2": {"ansible_host": "10.1.2.5", "balancer_tls_mode": "passthrough"}},
        {"all": ["web1", "lb1", "lb2"], "balancer": ["lb1", "lb2"]},
        "hosts.lb1.balancer_tls_mode: found terminate (lb1), passthrough (lb2), "
        "expected the same on all balancers",
    ),
}


@pytest.mark.parametrize(
    ("hosts", "groups", "expected"), INVALID_BALANCERS.values(), ids=list(INVALID_BALANCERS)
)
def test_invalid_balancers_are_rejected(hosts, groups, expected):
    assert inventory_errors(BEHIND | hosts, BALANCED | groups, {"harbour": {}}) == [expected]


BEHIND_ALB = {
    "balancer_kind": "alb",
    "balancer_target_groups": ["staging-web", "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/a/b"],
    "balancer_networks": ["10.0.0.0/24", "10.0.1.0/24"],
}
SCALED = {"all": ["web1", "web2"], "web": ["web1", "web2"]}


def alb_lines(groups: Any = SCALED, **changed: Any) -> list[str]:
    variables = {name: value for name, value in (BEHIND_ALB | changed).items() if value is not None}
    return inventory_errors(dict.fromkeys(groups["all"], variables), groups, {})


def test_web_hosts_behind_an_alb_are_valid():
    assert alb_lines() == []
    acme = {"s": {"tls": {"mode": "acme"}}}
    assert inventory_errors(dict.fromkeys(SCALED["all"], BEHIND_ALB), SCALED, acme) == []


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (
            {"balancer_kind": "elb"},
            'balancer_kind: found "elb", expected one of: haproxy, alb',
        ),
        (
            {"balancer_kind": None, "balancer_networks": None},
            "balancer_target_groups: found a value, expected none without balancer_kind: alb",
        ),
        (
            {"balancer_target_groups": None},
            "balancer_target_groups: found nothing, expected a list of names or ARNs of target groups",
        ),
        (
            {"balancer_target_groups": "web"},
            "balancer_target_groups: found no list, expected a list of names or ARNs of target groups",
        ),
        (
            {"balancer_target_groups": ["my group"]},
            'balancer_target_groups: found "my group", expected a list of names or ARNs of target groups',
        ),
        *(
            (
                {"balancer_networks": [network]},
                f'balancer_networks: found "{network}", expected a list of networks, the subnets of the ALB',
            )
            for network in ("alb.internal", "0.0.0.0/0")
        ),
    ],
)
def test_invalid_alb_is_rejected_once(changed, expected):
    assert alb_lines(**changed) == [f"hosts.web1.{expected}"]


def test_two_kinds_of_balancers_are_rejected():
    groups = {"all": ["web1", "lb1"], "web": ["web1"], "balancer": ["lb1"]}
    hosts = {"web1": BEHIND_ALB | {"ansible_host": "10.1.2.3"}, "lb1": {"ansible_host": "10.1.2.4"}}
    assert inventory_errors(hosts, groups, {}) == [
        "hosts.web1.balancer_kind: found alb and lb1, expected no host in the group balancer, because "
        "the ALB balances the web hosts"
    ]
