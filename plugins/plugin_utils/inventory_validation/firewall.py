"""Rules of the firewall that would close the ports of sites."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.decanter.stack.plugins.plugin_utils.inventory_validation.variables import (
    Hostvars,
    Variables,
    first_host_lines,
)

# The ports of nginx on web hosts and balancers (roles/nginx, roles/balancer).
WEB_PORTS = (80, 443)


def closed_ports(variables: Variables) -> list[int]:
    """Return the ports of WEB_PORTS that no rule of the host mentions.

    A rule with an empty list of networks mentions its port: the operator closes it on purpose. Values that
    cannot be resolved before the host is contacted, and invalid ones, are left to the role.
    """
    if "firewall_rules" not in list(variables):
        return []
    mentioned: set[int] = set()
    try:
        enabled = variables["firewall_enabled"] if "firewall_enabled" in list(variables) else True
        if not boolean(enabled, strict=False):
            return []
        extra = variables["firewall_extra_rules"] if "firewall_extra_rules" in list(variables) else []
        for rule in [*variables["firewall_rules"], *extra]:
            first, _, last = str(rule["port"]).partition(":")
            if str(rule.get("proto") or "tcp") == "tcp":
                mentioned.update(port for port in WEB_PORTS if int(first) <= port <= int(last or first))
    except Exception:  # a lazy value raises any type
        return []
    return [port for port in WEB_PORTS if port not in mentioned]


def firewall_lines(variables: Variables) -> Iterator[str]:
    closed = " and ".join(map(str, closed_ports(variables)))
    if closed:
        yield (
            f"firewall_rules: found no rule for port{'s' * (' ' in closed)} {closed}, "
            "expected ports 80 and 443, at which sites are served. "
            "Use firewall_extra_rules to open further ports."
        )


def firewall_errors(hostvars: Hostvars, hosts: Iterable[str]) -> Iterator[str]:
    """Yield one line for each set of closed ports, with the first host that closes this set."""
    return first_host_lines(hostvars, hosts, firewall_lines)
