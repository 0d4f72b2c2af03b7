"""What is wrong with an inventory beside its `sites`.

Hosts that are placeholders, groups without a host, and variables of a role that the role does not know.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.common.yaml import yaml_load
from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.decanter.stack.plugins.module_utils.shared.addresses import (
    is_example,
    parse_address,
    parse_network,
)
from ansible_collections.decanter.stack.plugins.plugin_utils.project import project_path

ROLES = Path(__file__).parents[2] / "roles"

# A member's socket has its host's name, and the path of a socket is short.
MEMBER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")


def is_placeholder(address: str) -> bool:
    """Whether an address was left as it is shipped."""
    if any(word in address.upper() for word in ("REPLACE_ME", "CHANGEME")):
        return True
    number = parse_address(address)
    return number is not None and is_example(number)


@functools.cache
def role_variables() -> dict[str, frozenset[str]]:
    """The names that each role's argument specs declare, by the role."""
    declared = {}
    for path in sorted(ROLES.glob("*/meta/argument_specs.yml")):
        specs = yaml_load(path.read_text("utf-8"))["argument_specs"]
        names = (name for spec in specs.values() for name in spec.get("options", {}))
        declared[path.parents[1].name] = frozenset(names)
    return declared


# Variables of earlier versions, each with its new name.
RENAMED = {
    "balancer_tls": "balancer_tls_mode",
    "hosts_are_alone": "web_hosts_independent",
    "memcached_absent": "services_absent",
    "memcached_instances": "services_instances",
    "memcached_memory_mb": "services_memcached_memory_mb",
    "redis_absent": "services_absent",
    "redis_instances": "services_instances",
    "redis_memory_mb": "services_redis_memory_mb",
    "redis_policy": "services_redis_policy",
    "redis_purge": "services_purge",
}
# Values of earlier versions, each with its new name, by the variable's new name.
RENAMED_VALUES = {"balancer_tls_mode": {"ends": "terminate", "passes": "passthrough"}}


def renamed(name: str) -> str | None:
    """Return the new name of a renamed variable, with those of its values, or None for other variables."""
    new = RENAMED.get(name)
    values = [f"{value} instead of {old}" for old, value in RENAMED_VALUES.get(new or "", {}).items()]
    return f"{new} ({', '.join(values)})" if values else new


def undeclared(name: str) -> str | None:
    """What was expected in place of a name that begins as a role's do and that the role does not declare."""
    # The longest name that fits: a variable of python_app_x is none of python_app's.
    role = max((role for role in role_variables() if name.startswith(f"{role}_")), key=len, default=None)
    if role is None or name in role_variables()[role]:
        return None
    near = difflib.get_close_matches(name, sorted(role_variables()[role]), n=1)
    return f"one of the role {role}'s" + (f" (did you mean {near[0]}?)" if near else "")


def variable_errors(names: Mapping[str, Iterable[Any]]) -> Iterator[str]:
    """Yield one line for each renamed or undeclared variable, whatever the number of hosts that have it."""
    hosts: dict[str, list[str]] = {}
    for host, of_host in names.items():
        for name in of_host:
            hosts.setdefault(str(name), []).append(host)
    for name, having in sorted(hosts.items()):
        if expected := renamed(name) or undeclared(name):
            found = "a variable that was renamed" if name in RENAMED else "an undeclared variable"
            found += f" (on {len(having)} hosts)" if len(having) > 1 else ""
            yield f"hosts.{having[0]}.{name}: found {found}, expected {expected}"


def said(variables: Mapping[str, Any], name: str) -> str:
    """Return the value of one variable, the only one that is resolved; an empty string if it is not set.

    The variable's old name counts, so that a renamed variable causes one error and not two.
    """
    names = [name, *(old for old, new in RENAMED.items() if new == name)]
    return next((str(variables.get(one) or "") for one in names if one in list(variables)), "")


def database_host(hostvars: Mapping[str, Mapping[str, Any]], groups: Mapping[str, Sequence[str]]) -> str:
    """Where the databases of the web hosts are, when it is not on each host itself."""
    return next((host for name in groups.get("web", []) if (host := said(hostvars[name], "mysql_host"))), "")


def database_errors(
    hostvars: Mapping[str, Mapping[str, Any]], groups: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    """One line for each host whose sites would not find their data, or would find somebody else's."""
    web, stores = groups.get("web", []), groups["database"]
    elsewhere = database_host(hostvars, groups)
    for host in dict.fromkeys([*web, *stores]):
        found = said(hostvars[host], "mysql_host")
        if found != elsewhere:
            shown, expected = (f'"{value}"' if value else "nothing" for value in (found, elsewhere))
            yield f"hosts.{host}.mysql_host: found {shown}, expected {expected}, as on the web hosts"
        if elsewhere and not said(hostvars[host], "mysql_ca_file"):
            expected = f"the authority that {elsewhere} is verified by"
            yield f"hosts.{host}.mysql_ca_file: found nothing, expected {expected}"
    if elsewhere:
        return
    for host in sorted(set(web) ^ set(stores)):
        here, there = ("web", "database") if host in web else ("database", "web")
        expected = "it, or mysql_host for a database elsewhere"
        yield f"groups.{there}: found no {host}, which is in {here}; expected {expected}"
    if len(web) > 1 and not all(said(hostvars[host], "web_hosts_independent") for host in web):
        expected = "one host, or mysql_host for a database that they share"
        alone = "web_hosts_independent: true, if the hosts share nothing"
        yield f"groups.web: found {len(web)} hosts with a database each, expected {expected} (or {alone})"


def balancer_errors(
    hostvars: Mapping[str, Mapping[str, Any]], groups: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    """What a balancer and the web hosts behind it need to know of each other."""
    for host in dict.fromkeys([*groups["balancer"], *groups.get("web", [])]):
        serves, balances = host in groups.get("web", []), host in groups["balancer"]
        if serves and balances:
            yield f"hosts.{host}: found it in the groups web and balancer, expected it in one of them"
        if serves and not MEMBER.fullmatch(host):
            expected = "at most 60 letters, digits, dots, hyphens and underscores behind a balancer"
            yield f"hosts.{host}: found this name, expected {expected}"
        address = str(hostvars[host].get("balancer_address", hostvars[host].get("ansible_host", host)))
        if not (parse_network if balances else parse_address)(address):
            expected = "an IP address: that by which web hosts and balancers know it"
            yield f'hosts.{host}.balancer_address: found "{address}", expected {expected}'
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


KINDS = ("nginx", "alb")
# As AWS lets one be named; or its ARN.
TARGET_GROUP = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,30}[A-Za-z0-9])?|arn:aws[a-z-]*:elasticloadbalancing:[^ ]+"
)
# What only an ALB reads, and what is expected of each.
ALB = {
    "balancer_target_groups": "a list of names or ARNs of target groups",
    "balancer_networks": "a list of networks: the subnets that the ALB speaks from",
}


def listed(variables: Mapping[str, Any], name: str) -> list[Any] | None:
    """The value of a variable that is a list; none where it is something else."""
    found = variables[name] if name in list(variables) else []
    return list(found) if isinstance(found, Sequence) and not isinstance(found, str) else None


def kind_errors(
    hostvars: Mapping[str, Mapping[str, Any]], groups: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    """What an ALB and the web hosts need to know of each other: a line a mistake, whatever its hosts."""
    seen: set[str] = set()
    for host in groups.get("web", []):
        for line in host_kind_errors(hostvars[host], groups):
            if line not in seen:
                seen.add(line)
                yield f"hosts.{host}.{line}"


def host_kind_errors(variables: Mapping[str, Any], groups: Mapping[str, Sequence[str]]) -> Iterator[str]:
    kind = said(variables, "balancer_kind") or "nginx"
    if kind not in KINDS:
        yield f'balancer_kind: found "{kind}", expected one of: {", ".join(KINDS)}'
    elif kind == "nginx":
        for name in ALB:
            if listed(variables, name) != []:
                yield f"{name}: found a value, expected none without balancer_kind: alb"
    else:
        if groups.get("balancer"):
            expected = "no host in the group balancer, for the ALB is in front of the web hosts"
            yield f"balancer_kind: found alb and {groups['balancer'][0]}, expected {expected}"
        names, networks = (listed(variables, name) for name in ALB)
        for name, found in zip(ALB, (names, networks), strict=True):
            if not found:
                yield f"{name}: found {'nothing' if found == [] else 'no list'}, expected {ALB[name]}"
        for name in names or []:
            if not TARGET_GROUP.fullmatch(str(name)):
                yield f'balancer_target_groups: found "{name}", expected {ALB["balancer_target_groups"]}'
        for network in networks or []:
            if not parse_network(str(network)) or str(network).endswith("/0"):
                yield f'balancer_networks: found "{network}", expected {ALB["balancer_networks"]}'


def certificate_errors(
    hostvars: Mapping[str, Mapping[str, Any]], groups: Mapping[str, Sequence[str]], sites: Mapping[str, Any]
) -> Iterator[str]:
    """One line for each host that others cannot ask for a proof, when an authority may mean any of them."""
    by_name = any(
        site["tls"].get("mode") == "acme" and not proven_by_dns(site["tls"])
        for site in sites.values()
        if isinstance(site, Mapping)
        and isinstance(site.get("tls"), Mapping)
        and site.get("state") != "absent"
    )
    web, balancers = groups.get("web", []), groups.get("balancer") or []
    alone = all(said(hostvars[host], "web_hosts_independent") for host in web)
    # Where TLS ends on an ALB, no authority asks a host.
    behind = any(said(hostvars[host], "balancer_kind") == "alb" for host in web)
    if not by_name or behind or (alone and not balancers):
        return
    # Behind balancers web hosts have addresses (balancer_errors).
    passthrough = any(said(hostvars[host], "balancer_tls_mode") == "passthrough" for host in balancers)
    asked = ([] if passthrough else balancers) if balancers else web
    for host in asked if len(asked) > 1 else []:
        address = str(hostvars[host].get("balancer_address", hostvars[host].get("ansible_host", host)))
        if not parse_address(address) and (not balancers or parse_network(address)):
            expected = "an IP address: that at which the other hosts ask it for what proves a name"
            yield f'hosts.{host}.balancer_address: found "{address}", expected {expected}'


def successor_errors(hostvars: Mapping[str, Mapping[str, Any]], hosts: Iterable[str]) -> Iterator[str]:
    """One line for each machine to come that is no address: nginx may not start with a name."""
    name = "nginx_challenge_successors"
    for host in hosts:
        found = hostvars[host].get(name, []) if name in list(hostvars[host]) else []
        for address in found if isinstance(found, Sequence) and not isinstance(found, str) else [found]:
            if is_placeholder(str(address)) or not parse_address(str(address)):
                yield f'hosts.{host}.{name}: found "{address}", expected a list of IP addresses'


# Where nginx listens on web hosts and balancers (roles/nginx, roles/balancer).
WEB_PORTS = (80, 443)


def closed_ports(variables: Mapping[str, Any]) -> list[int]:
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


def firewall_errors(hostvars: Mapping[str, Mapping[str, Any]], hosts: Iterable[str]) -> Iterator[str]:
    """Yield one error for each set of closed ports, with the first host that closes this set."""
    seen: set[str] = set()
    for host in hosts:
        closed = " and ".join(map(str, closed_ports(hostvars[host])))
        if closed and closed not in seen:
            seen.add(closed)
            yield (
                f"hosts.{host}.firewall_rules: found no rule for port{'s' * (' ' in closed)} {closed}, "
                "expected ports 80 and 443, at which sites are served. "
                "Use firewall_extra_rules to open further ports."
            )


MAIL_KEYS = ("to", "server", "security", "port", "from", "user", "password", "ca")
MAIL_ADDRESS = re.compile(r"[^@\s<>,]+@[^@\s<>,]+")
MAIL_EXAMPLE = "such as ops@myproject.org"


def mail_lines(mail: Any) -> Iterator[str]:
    """What is wrong with base_mail, each with its key; the password itself is not looked at."""
    if not isinstance(mail, Mapping):
        example = "{to: [ops@myproject.org], server: smtp.myproject.org}"
        yield f": found a {type(mail).__name__}, expected a dictionary such as {example}"
        return
    for key in sorted(map(str, mail.keys() - set(MAIL_KEYS))):
        near = difflib.get_close_matches(key, MAIL_KEYS, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        yield f".{key}: found an unknown key, expected one of: {', '.join(MAIL_KEYS)}{hint}"
    to = mail.get("to")
    if not isinstance(to, Sequence) or isinstance(to, str) or not to:
        found = f'"{to}"' if to else "nothing"
        yield f".to: found {found}, expected a list of addresses {MAIL_EXAMPLE}"
        to = []
    for key, address in [*((f"to[{i}]", a) for i, a in enumerate(to)), ("from", mail.get("from"))]:
        if address is not None and not MAIL_ADDRESS.fullmatch(str(address)):
            yield f'.{key}: found "{address}", expected an address {MAIL_EXAMPLE}'
    server = mail.get("server")
    if not (isinstance(server, str) and re.fullmatch(r"[A-Za-z0-9.:-]+", server)):
        found = f'"{server}"' if server else "nothing"
        yield f".server: found {found}, expected the name of a mail server"
    security, port = mail.get("security", "starttls"), mail.get("port", 25)
    if security not in ("starttls", "tls", "none"):
        yield f'.security: found "{security}", expected one of: starttls, tls, none'
    if not isinstance(port, int) or isinstance(port, bool) or not 0 < port < 65536:
        yield f'.port: found "{port}", expected an integer from 1 to 65535'
    for key, other in (("user", "password"), ("password", "user")):
        if key in mail and other not in mail:
            yield f".{other}: found nothing, expected it beside {key}"
    if security == "none" and "password" in mail:
        yield ".security: found none beside a password, expected starttls or tls"
    if "ca" in mail and not Path(project_path(str(mail["ca"]))).is_file():
        yield f'.ca: found "{mail["ca"]}", expected a file on the controller'


def mail_errors(hostvars: Mapping[str, Mapping[str, Any]], hosts: Iterable[str]) -> Iterator[str]:
    """One line for each fault, whatever the number of hosts that have it."""
    seen: set[str] = set()
    for host in hosts:
        if "base_mail" in list(hostvars[host]) and (mail := hostvars[host]["base_mail"]) != {}:
            for line in mail_lines(mail):
                if line not in seen:
                    seen.add(line)
                    yield f"hosts.{host}.base_mail{line}"


def python_errors(hostvars: Mapping[str, Mapping[str, Any]], hosts: Iterable[str]) -> Iterator[str]:
    """Return one line for each unusable mirror or pin file of Pythons, for the first host that has it."""
    seen: set[str] = set()
    for host in hosts:
        mirror, pins = (said(hostvars[host], name) for name in ("python_mirror", "python_pins"))
        parts, lines = urlsplit(mirror), []
        if parts.username or parts.password:
            # The value is not shown: a module's arguments are in the host's log, and uv reads .netrc.
            lines.append(
                "python_mirror: found a password in the URL, expected it in /root/.netrc of the host"
            )
        elif mirror and not (parts.scheme in ("http", "https") and parts.hostname):
            expected = "a URL such as https://mirror.example/python"
            lines.append(f'python_mirror: found "{mirror}", expected {expected}')
        if pins and not Path(project_path(pins)).is_file():
            lines.append(f'python_pins: found "{pins}", expected a file on the controller')
        yield from (f"hosts.{host}.{line}" for line in lines if line not in seen)
        seen.update(lines)


def key_errors(
    hostvars: Mapping[str, Mapping[str, Any]], groups: Mapping[str, Sequence[str]], sites: Mapping[str, Any]
) -> Iterator[str]:
    """One line for each host that has half of the key to Amazon Route 53, where a site needs it."""
    served = [site for site in sites.values() if isinstance(site, Mapping) and site.get("state") != "absent"]
    if not any(proven_by_dns(site.get("tls")) for site in served):
        return
    identifier, secret = "certbot_aws_access_key_id", "certbot_aws_secret_access_key"
    for host in dict.fromkeys([*groups.get("web", []), *(groups.get("balancer") or [])]):
        # The secret is not to be read here.
        has = {identifier: bool(said(hostvars[host], identifier)), secret: secret in list(hostvars[host])}
        if len(set(has.values())) == 2:
            given, lacking = sorted(has, key=has.__getitem__, reverse=True)
            expected = f"it beside {given}, or neither where the instance's role may write to the zone"
            yield f"hosts.{host}.{lacking}: found nothing, expected {expected}"


def proven_by_dns(tls: Any) -> bool:
    """Whether names are proven in DNS, whoever is asked for the site."""
    return isinstance(tls, Mapping) and tls.get("mode") == "acme" and tls.get("challenge") == "route53"


# As amazon.aws.aws_ec2 knows its files, and what the variables that it gives begin with in ours.
CLOUD_FILES = ("aws_ec2.yml", "aws_ec2.yaml")
CLOUD_HOST = "ec2_instance_id"


def cloud_errors(
    hostvars: Mapping[str, Mapping[str, Any]], hosts: Iterable[str], sources: Iterable[str]
) -> Iterator[str]:
    """One line for each file that asks a cloud for hosts, where none has come of any: an answer without hosts
    is what a wrong region, a wrong tag or another account gives."""
    if any(CLOUD_HOST in list(hostvars[host]) for host in hosts):
        return
    for source in map(Path, sources):
        files = sorted(source.iterdir()) if source.is_dir() else [source] if source.is_file() else []
        for path in files:
            if path.name.endswith(CLOUD_FILES):
                expected = "one at least (are its regions and filters right, and whose account is it?)"
                yield f"{path}: found no instance, expected {expected}"


def inventory_errors(
    hostvars: Mapping[str, Mapping[str, Any]],
    groups: Mapping[str, Sequence[str]],
    sites: Any,
    sources: Iterable[str] = (),
) -> list[str]:
    """One line an error, each with where it is, what was found and what was expected.

    The inventory comes from the sources, files and folders on the controller.
    """
    errors = [*cloud_errors(hostvars, groups.get("all", []), sources)]
    for host in groups.get("all", []):
        address = str(hostvars[host].get("ansible_host", host))
        if is_placeholder(address):
            expected = "the address that ssh reaches"
            errors.append(
                f'hosts.{host}.ansible_host: found the placeholder "{address}", expected {expected}'
            )
    # Names only: a value may be a template that cannot be worked out yet, or a secret.
    errors.extend(variable_errors({host: list(hostvars[host]) for host in groups.get("all", [])}))
    errors.extend(mail_errors(hostvars, groups.get("all", [])))
    errors.extend(python_errors(hostvars, groups.get("web", [])))
    if not groups.get("web"):
        errors.append("groups.web: found no host, expected one at least to serve the sites")
    serving = dict.fromkeys([*(groups.get("web") or []), *(groups.get("balancer") or [])])
    errors.extend(firewall_errors(hostvars, serving))
    errors.extend(successor_errors(hostvars, groups.get("all", [])))
    errors.extend(kind_errors(hostvars, groups))
    if groups.get("balancer"):
        errors.extend(balancer_errors(hostvars, groups))
    stored = isinstance(sites, Mapping) and any(
        "database" in site for site in sites.values() if isinstance(site, Mapping)
    )
    if stored and not groups.get("database"):
        errors.append("groups.database: found no host, expected one at least, for a site has a database")
    elif stored:
        errors.extend(database_errors(hostvars, groups))
    if isinstance(sites, Mapping):
        errors.extend(certificate_errors(hostvars, groups, sites))
        errors.extend(key_errors(hostvars, groups, sites))
    return errors


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"inventory_errors": inventory_errors, "database_host": database_host}
