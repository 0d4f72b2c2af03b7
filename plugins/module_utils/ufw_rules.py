"""The rules of ufw: validation, and the files user.rules and user6.rules."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Any

ANYWHERE = {4: "0.0.0.0/0", 6: "::/0"}
# Chains that user.rules declares. iptables-restore therefore empties them before it fills them.
CHAINS = [
    *("user-input", "user-output", "user-forward"),
    *("before-logging-input", "before-logging-output", "before-logging-forward"),
    *("user-logging-input", "user-logging-output", "user-logging-forward"),
    *("after-logging-input", "after-logging-output", "after-logging-forward"),
    *("logging-deny", "logging-allow", "user-limit", "user-limit-accept"),
    # Not of ufw: the limits of clients. `ufw allow` removes them until the next run.
    *("client-limit", "client-limit-drop"),
]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Refused(Exception):
    """The declared rules are invalid. Nothing was changed."""


@dataclass(frozen=True)
class Rule:
    """One rule for incoming packets of one network."""

    action: str  # allow or limit
    port: str  # a number, or a range as 6000:6007
    proto: str
    network: Network
    comment: str

    def lines(self, prefix: str) -> list[str]:
        """Return the lines of user.rules: one for ufw, then the rules as iptables-save prints them."""
        version = self.network.version
        everywhere = self.network.prefixlen == 0
        # ufw writes a single address without its mask.
        single = self.network.prefixlen == self.network.max_prefixlen
        source = str(self.network.network_address) if single else str(self.network)
        comment = f" comment={self.comment.encode().hex()}" if self.comment else ""
        anywhere = ANYWHERE[version]
        lines = [f"### tuple ### {self.action} {self.proto} {self.port} {anywhere} any {source} in{comment}"]

        match = f"-A {prefix}-user-input"
        match += "" if everywhere else f" -s {self.network}"
        match += f" -p {self.proto} "
        match += (
            f"-m multiport --dports {self.port}"
            if ":" in self.port
            else f"-m {self.proto} --dport {self.port}"
        )
        if self.action == "allow":
            return [*lines, f"{match} -j ACCEPT"]
        mask = ipaddress.ip_network(anywhere).broadcast_address
        new = "-m conntrack --ctstate NEW -m recent"
        recent = f"--name DEFAULT --mask {mask} --rsource"
        return [
            *lines,
            f"{match} {new} --set {recent}",
            f"{match} {new} --update --seconds 30 --hitcount 6 {recent} -j {prefix}-user-limit",
            f"{match} -j {prefix}-user-limit-accept",
        ]


@dataclass(frozen=True)
class ClientLimits:
    """Limits of the TCP connections of one IPv4 address, or of one /64 of IPv6, to some ports together."""

    ports: tuple[str, ...] = ()
    connections: int = 0  # at the same time; 0 is unlimited
    rate: int = 0  # new ones per second; 0 is unlimited
    exempt: tuple[Network, ...] = ()

    def lines(self, prefix: str, version: int) -> list[str]:
        """Return the rules as iptables-save prints them. Other packets continue with the next rule."""
        if not self.ports or not (self.connections or self.rate):
            return []
        chain = f"{prefix}-client-limit"
        mask = 32 if version == 4 else 64
        lines = [f"-A {prefix}-user-input -p tcp -m multiport --dports {','.join(self.ports)} -j {chain}"]
        exempt = [network for network in self.exempt if network.version == version]
        lines += [f"-A {chain} -s {network} -j RETURN" for network in exempt]
        if self.connections:
            limit = f"--connlimit-above {self.connections} --connlimit-mask {mask} --connlimit-saddr"
            lines.append(f"-A {chain} -m connlimit {limit} -j {chain}-drop")
        if self.rate:
            # A client may open all its connections at once.
            limit = f"--hashlimit-above {self.rate}/sec --hashlimit-burst {max(self.connections, self.rate)}"
            limit += f" --hashlimit-mode srcip --hashlimit-name {prefix}-client"
            limit += " --hashlimit-srcmask 64" if version == 6 else ""
            lines.append(f"-A {chain} -m hashlimit {limit} -j {chain}-drop")
        return [
            *lines,
            f'-A {chain}-drop -m limit --limit 3/min -j LOG --log-prefix "[UFW CLIENT LIMIT] "',
            # Not rejected: clients repeat the packet after a second, so a busy office waits without an error.
            f"-A {chain}-drop -j DROP",
        ]


def client_limits(params: dict[str, Any]) -> ClientLimits:
    """Return the limits of the module's parameters. Raise Refused if one is invalid."""
    limits = params["client_limits"] or {}
    return ClientLimits(
        tuple(port(number, "client_limits") for number in limits.get("ports") or ()),
        int(limits.get("connections") or 0),
        int(limits.get("rate") or 0),
        tuple(
            dict.fromkeys(networks(limits.get("exempt") or [], "firewall_unlimited_networks", strict=False))
        ),
    )


def networks(names: list[str], where: str, strict: bool = True) -> list[Network]:
    """Return the networks of a list. Raise Refused if one is invalid.

    strict: whether addresses with a mask, such as 10.0.0.5/8, are invalid. nginx accepts them.
    """
    try:
        return [ipaddress.ip_network(name, strict) for name in names]
    except ValueError as error:
        raise Refused(f"{where}: found {error}; expected networks such as 203.0.113.0/24") from None


def port(value: object, where: str) -> str:
    """Return a port or a range as ufw writes it. Raise Refused if it is invalid."""
    found = re.fullmatch(r"(\d{1,5})(?::(\d{1,5}))?", str(value))
    numbers = [int(number) for number in found.groups() if number] if found else []
    if not numbers or numbers != sorted(set(numbers)) or not 0 < numbers[0] <= numbers[-1] < 65536:
        raise Refused(f'{where}: found port {value}, expected 1 to 65535 or a range such as "6000:6007"')
    return ":".join(str(number) for number in numbers)


def declared(params: dict[str, Any], ssh_ports: list[int]) -> list[Rule]:
    """Return the rules of the module's parameters. Raise Refused if one is invalid."""
    rules = []
    for names, action, comment in (
        # The first matching rule decides, so administrators precede the limit.
        (params["admin_networks"], "allow", "ssh, administrators"),
        (params["ssh_networks"], "limit", "ssh"),
    ):
        for network in networks(names, f"ssh ({comment})"):
            rules += [Rule(action, port(number, "ssh"), "tcp", network, comment) for number in ssh_ports]
    for number, entry in enumerate(params["rules"], 1):
        where = f"rule {number} of firewall_rules and firewall_extra_rules"
        comment = entry.get("comment") or ""
        if "'" in comment or not comment.isprintable():
            raise Refused(f"{where}: found the comment {comment!r}, expected printable text without '")
        # An empty list opens the port to no network.
        sources = list(ANYWHERE.values()) if entry.get("from") is None else entry["from"]
        for network in networks([sources] if isinstance(sources, str) else sources, where):
            rules.append(
                Rule("allow", port(entry["port"], where), entry.get("proto") or "tcp", network, comment)
            )
    return list(dict.fromkeys(rules))


def user_rules(rules: list[Rule], version: int, limits: ClientLimits | None = None) -> str:
    """Return user.rules or user6.rules as ufw writes it at log level low."""
    prefix = "ufw6" if version == 6 else "ufw"
    reject = "icmp6-port-unreachable" if version == 6 else "icmp-port-unreachable"
    limit = "-m limit --limit 3/min --limit-burst 10"
    lines = ["*filter", *(f":{prefix}-{chain} - [0:0]" for chain in CHAINS)]
    lines += [*(limits.lines(prefix, version) if limits else []), "### RULES ###"]
    for rule in rules:
        if rule.network.version == version:
            lines += ["", *rule.lines(prefix)]
    lines += [
        "",
        "### END RULES ###",
        "",
        "### LOGGING ###",
        f'-A {prefix}-after-logging-input {limit} -j LOG --log-prefix "[UFW BLOCK] "',
        f'-A {prefix}-after-logging-forward {limit} -j LOG --log-prefix "[UFW BLOCK] "',
        f"-A {prefix}-logging-deny -m conntrack --ctstate INVALID {limit} -j RETURN",
        f'-A {prefix}-logging-deny {limit} -j LOG --log-prefix "[UFW BLOCK] "',
        f'-A {prefix}-logging-allow {limit} -j LOG --log-prefix "[UFW ALLOW] "',
        "### END LOGGING ###",
        "",
        "### RATE LIMITING ###",
        f'-A {prefix}-user-limit -m limit --limit 3/min -j LOG --log-prefix "[UFW LIMIT BLOCK] "',
        f"-A {prefix}-user-limit -j REJECT --reject-with {reject}",
        f"-A {prefix}-user-limit-accept -j ACCEPT",
        "### END RATE LIMITING ###",
        "COMMIT",
        "",
    ]
    return "\n".join(lines)
