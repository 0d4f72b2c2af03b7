"""Variables that the certificates of sites need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.decanter.stack.plugins.module_utils.shared.addresses import (
    parse_address,
    parse_network,
)
from ansible_collections.decanter.stack.plugins.plugin_utils.inventory_validation.topology import (
    is_placeholder,
)
from ansible_collections.decanter.stack.plugins.plugin_utils.inventory_validation.variables import (
    Groups,
    Hostvars,
    host_address,
    list_of,
    text_of,
)

ACCESS_KEY_ID, SECRET_ACCESS_KEY = "certbot_aws_access_key_id", "certbot_aws_secret_access_key"
SUCCESSORS = "nginx_challenge_successors"


def certificate_errors(hostvars: Hostvars, groups: Groups, sites: Mapping[str, Any]) -> Iterator[str]:
    settings = [
        site["tls"]
        for site in sites.values()
        if isinstance(site, Mapping)
        and isinstance(site.get("tls"), Mapping)
        and site.get("state") != "absent"
        and site["tls"].get("mode") == "acme"
    ]
    if any(tls.get("challenge") != "route53" for tls in settings):
        yield from http_challenge_errors(hostvars, groups)
    if any(tls.get("challenge") == "route53" for tls in settings):
        yield from access_key_errors(hostvars, groups)


def http_challenge_errors(hostvars: Hostvars, groups: Groups) -> Iterator[str]:
    """Yield one line for each host without an address, if the CA may send the request to another host."""
    web, balancers = groups.get("web", []), groups.get("balancer") or []
    independent = all(text_of(hostvars[host], "web_hosts_independent") for host in web)
    # TLS ends at the ALB, so no CA sends requests to a host.
    behind_alb = any(text_of(hostvars[host], "balancer_kind") == "alb" for host in web)
    if behind_alb or (independent and not balancers):
        return
    # member_errors requires the addresses of web hosts behind balancers.
    passthrough = any(text_of(hostvars[host], "balancer_tls_mode") == "passthrough" for host in balancers)
    issuing = ([] if passthrough else balancers) if balancers else web
    for host in issuing if len(issuing) > 1 else []:
        address = host_address(hostvars, host)
        if not parse_address(address) and (not balancers or parse_network(address)):
            expected = "the IP address at which other hosts request ACME challenges"
            yield f'hosts.{host}.balancer_address: found "{address}", expected {expected}'


def access_key_errors(hostvars: Hostvars, groups: Groups) -> Iterator[str]:
    """Yield one line for each host that has one half of the access key for Amazon Route 53."""
    for host in dict.fromkeys([*groups.get("web", []), *(groups.get("balancer") or [])]):
        # The value of the secret is not read.
        has = {
            ACCESS_KEY_ID: bool(text_of(hostvars[host], ACCESS_KEY_ID)),
            SECRET_ACCESS_KEY: SECRET_ACCESS_KEY in list(hostvars[host]),
        }
        if len(set(has.values())) == 2:
            given, missing = sorted(has, key=has.__getitem__, reverse=True)
            expected = (
                f"a value, because {given} is set, or neither if the instance role can write to the zone"
            )
            yield f"hosts.{host}.{missing}: found nothing, expected {expected}"


def successor_errors(hostvars: Hostvars, hosts: Iterable[str]) -> Iterator[str]:
    """Yield one line for each successor without an IP address. nginx may fail to start with a name."""
    for host in hosts:
        found = list_of(hostvars[host], SUCCESSORS)
        for address in [hostvars[host][SUCCESSORS]] if found is None else found:
            if is_placeholder(str(address)) or not parse_address(str(address)):
                yield f'hosts.{host}.{SUCCESSORS}: found "{address}", expected a list of IP addresses'
