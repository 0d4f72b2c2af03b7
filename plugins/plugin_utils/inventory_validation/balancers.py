"""Balancers, and the web hosts behind them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

from ansible_collections.decanter.stack.plugins.module_utils.shared.addresses import (
    parse_address,
    parse_network,
)
from ansible_collections.decanter.stack.plugins.plugin_utils.inventory_validation.variables import (
    RENAMED_VALUES,
    Groups,
    Hostvars,
    Variables,
    first_host_lines,
    host_address,
    list_of,
    text_of,
)

# HAProxy accepts these characters in the name of a server.
MEMBER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
KINDS = ("haproxy", "alb")
# A name that AWS permits, or an ARN.
TARGET_GROUP = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,30}[A-Za-z0-9])?|arn:aws[a-z-]*:elasticloadbalancing:[^ ]+"
)
# Variables of an ALB, and what is expected of each.
ALB = {
    "balancer_target_groups": "a list of names or ARNs of target groups",
    "balancer_networks": "a list of networks, the subnets of the ALB",
}


def balancer_errors(hostvars: Hostvars, groups: Groups) -> Iterator[str]:
    yield from kind_errors(hostvars, groups)
    if groups.get("balancer"):
        yield from member_errors(hostvars, groups)
        yield from mode_errors(hostvars, groups)


def member_errors(hostvars: Hostvars, groups: Groups) -> Iterator[str]:
    """Yield the errors of names and addresses of balancers and web hosts."""
    for host in dict.fromkeys([*groups["balancer"], *groups.get("web", [])]):
        serves, balances = host in groups.get("web", []), host in groups["balancer"]
        if serves and balances:
            yield f"hosts.{host}: found it in the groups web and balancer, expected it in one of them"
        if serves and not MEMBER.fullmatch(host):
            expected = "at most 60 letters, digits, dots, hyphens and underscores behind a balancer"
            yield f"hosts.{host}: found this name, expected {expected}"
        address = host_address(hostvars, host)
        if not (parse_network if balances else parse_address)(address):
            expected = "the IP address that web hosts and balancers use"
            yield f'hosts.{host}.balancer_address: found "{address}", expected {expected}'


def mode_errors(hostvars: Hostvars, groups: Groups) -> Iterator[str]:
    """Yield the errors of `balancer_tls_mode`."""
    modes = {host: str(hostvars[host].get("balancer_tls_mode", "terminate")) for host in groups["balancer"]}
    for host, mode in modes.items():
        if new := RENAMED_VALUES["balancer_tls_mode"].get(mode):
            yield f'hosts.{host}.balancer_tls_mode: found "{mode}", which was renamed, expected {new}'
        elif mode not in ("terminate", "passthrough"):
            yield f'hosts.{host}.balancer_tls_mode: found "{mode}", expected one of: terminate, passthrough'
    if len(set(modes.values())) > 1:
        found = ", ".join(f"{mode} ({host})" for host, mode in modes.items())
        first, expected = groups["balancer"][0], "the same on all balancers"
        yield f"hosts.{first}.balancer_tls_mode: found {found}, expected {expected}"


def kind_errors(hostvars: Hostvars, groups: Groups) -> Iterator[str]:
    """Yield the errors of `balancer_kind` and of the variables of an ALB."""
    return first_host_lines(hostvars, groups.get("web", []), partial(kind_lines, groups=groups))


def kind_lines(variables: Variables, groups: Groups) -> Iterator[str]:
    kind = text_of(variables, "balancer_kind") or "haproxy"
    if new := RENAMED_VALUES["balancer_kind"].get(kind):
        yield f'balancer_kind: found "{kind}", which was renamed, expected {new}'
    elif kind not in KINDS:
        yield f'balancer_kind: found "{kind}", expected one of: {", ".join(KINDS)}'
    elif kind == "haproxy":
        for name in ALB:
            if list_of(variables, name) != []:
                yield f"{name}: found a value, expected none without balancer_kind: alb"
    else:
        if groups.get("balancer"):
            expected = "no host in the group balancer, because the ALB balances the web hosts"
            yield f"balancer_kind: found alb and {groups['balancer'][0]}, expected {expected}"
        yield from alb_lines(variables)


def alb_lines(variables: Variables) -> Iterator[str]:
    names, networks = (list_of(variables, name) for name in ALB)
    for name, found in zip(ALB, (names, networks), strict=True):
        if not found:
            yield f"{name}: found {'nothing' if found == [] else 'no list'}, expected {ALB[name]}"
    for name in names or []:
        if not TARGET_GROUP.fullmatch(str(name)):
            yield f'balancer_target_groups: found "{name}", expected {ALB["balancer_target_groups"]}'
    for network in networks or []:
        if not parse_network(str(network)) or str(network).endswith("/0"):
            yield f'balancer_networks: found "{network}", expected {ALB["balancer_networks"]}'
