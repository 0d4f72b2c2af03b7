"""Apply a declared set of ufw rules without a moment in which all ports are open or closed."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.decanter.stack.plugins.module_utils.shared.files import write_file
from ansible_collections.decanter.stack.plugins.module_utils.shared.systemd import systemctl

DOCUMENTATION = r"""
module: ufw_apply
short_description: Apply a declared set of ufw rules
description:
  - Writes ufw's own files (user.rules, user6.rules, ufw.conf) whole, so what was not declared is removed
    and C(ufw status) and C(ufw allow) work as ever. Then has the kernel filter by them.
  - A firewall that runs is changed by iptables-restore, which replaces ufw's user chains in one step for each
    of IPv4 and IPv6. C(ufw reload) would let everything in for a while, and leave it so if it were killed.
  - A firewall that is off is switched on by systemd, so that it ends what it began whatever becomes of
    this process; by then its files hold the rules for ssh.
  - State decides, files against kernel, not what an earlier run remembered to do.
  - The port of this connection is always open, and an address that would be shut out is refused.
options:
  enabled: {description: Whether the firewall is on., type: bool, default: true}
  rules: {description: What may come in besides ssh., type: list, elements: dict, default: []}
  ssh_ports: {description: Ports of sshd., type: list, elements: int, required: true}
  ssh_networks: {description: Networks with limited access to ssh., type: list, elements: str, required: true}
  admin_networks: {description: Networks with access to ssh., type: list, elements: str, default: []}
"""
RETURN = r"""
action: {description: What was done in the kernel (none, load, start or stop)., type: str, returned: always}
ssh_ports: {description: Ports on which ssh is open., type: list, elements: int, returned: always}
"""

FOLDER = "/etc/ufw"
ANYWHERE = {4: "0.0.0.0/0", 6: "::/0"}
# Chains that user.rules declares, which iptables-restore therefore empties before it fills them.
CHAINS = [
    *("user-input", "user-output", "user-forward"),
    *("before-logging-input", "before-logging-output", "before-logging-forward"),
    *("user-logging-input", "user-logging-output", "user-logging-forward"),
    *("after-logging-input", "after-logging-output", "after-logging-forward"),
    *("logging-deny", "logging-allow", "user-limit", "user-limit-accept"),
]
CONF = """#
# Ansible managed
#
# From boot on, before the network is up.
ENABLED={enabled}
# Refused packets, three a minute: more fills the journal with what the whole Internet knocks on.
LOGLEVEL=low
"""


class Refused(Exception):
    """What was declared cannot be done; nothing was changed."""


@dataclass(frozen=True)
class Rule:
    action: str  # allow or limit
    port: str  # a number, or a range as 6000:6007
    proto: str
    network: ipaddress.IPv4Network | ipaddress.IPv6Network
    comment: str

    def lines(self, prefix: str) -> list[str]:
        """As user.rules has it: a line for ufw, then the kernel's rules as iptables-save prints them."""
        version = self.network.version
        everywhere = self.network.prefixlen == 0
        # ufw names a single address without its mask.
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


def networks(names: list[str], where: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    try:
        return [ipaddress.ip_network(name) for name in names]
    except ValueError as error:
        raise Refused(f"{where}: found {error}; expected networks such as 203.0.113.0/24") from None


def port(value: object, where: str) -> str:
    """A port or a range, as ufw writes it."""
    found = re.fullmatch(r"(\d{1,5})(?::(\d{1,5}))?", str(value))
    numbers = [int(number) for number in found.groups() if number] if found else []
    if not numbers or numbers != sorted(set(numbers)) or not 0 < numbers[0] <= numbers[-1] < 65536:
        raise Refused(f'{where}: found port {value}, expected 1 to 65535 or a range such as "6000:6007"')
    return ":".join(str(number) for number in numbers)


def session() -> tuple[ipaddress.IPv4Address | ipaddress.IPv6Address | None, int | None]:
    """Where this connection comes from, and sshd's port that it came to; None without one.

    sudo takes SSH_CONNECTION away, so it is looked for in the processes that led here.
    """
    process = os.getpid()
    while process > 1:
        with open(f"/proc/{process}/environ", "rb") as file:
            found = re.search(rb"(?:^|\0)SSH_CONNECTION=(\S+) \d+ \S+ (\d+)", file.read())
        if found:
            address = ipaddress.ip_address(found[1].decode().split("%")[0])
            return getattr(address, "ipv4_mapped", None) or address, int(found[2])
        with open(f"/proc/{process}/stat") as file:
            # The name, in parentheses, may hold anything.
            process = int(file.read().rsplit(")", 1)[1].split()[1])
    return None, None


def declared(params: dict, ssh_ports: list[int]) -> list[Rule]:
    rules = []
    for names, action, comment in (
        # First match decides: administrators before the limit.
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


def user_rules(rules: list[Rule], version: int) -> str:
    """The whole of user.rules or user6.rules, as ufw itself would write it at log level low."""
    prefix = "ufw6" if version == 6 else "ufw"
    reject = "icmp6-port-unreachable" if version == 6 else "icmp-port-unreachable"
    some = "-m limit --limit 3/min --limit-burst 10"
    lines = ["*filter", *(f":{prefix}-{chain} - [0:0]" for chain in CHAINS), "### RULES ###"]
    for rule in rules:
        if rule.network.version == version:
            lines += ["", *rule.lines(prefix)]
    lines += [
        "",
        "### END RULES ###",
        "",
        "### LOGGING ###",
        f'-A {prefix}-after-logging-input {some} -j LOG --log-prefix "[UFW BLOCK] "',
        f'-A {prefix}-after-logging-forward {some} -j LOG --log-prefix "[UFW BLOCK] "',
        f"-A {prefix}-logging-deny -m conntrack --ctstate INVALID {some} -j RETURN",
        f'-A {prefix}-logging-deny {some} -j LOG --log-prefix "[UFW BLOCK] "',
        f'-A {prefix}-logging-allow {some} -j LOG --log-prefix "[UFW ALLOW] "',
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


class Kernel:
    """What the kernel filters by, in one family."""

    def __init__(self, module: AnsibleModule, version: int) -> None:
        self.module = module
        self.prefix = "ufw6" if version == 6 else "ufw"
        self.tool = "ip6tables" if version == 6 else "iptables"
        self.installed = module.get_bin_path(f"{self.tool}-save") is not None

    def lines(self) -> list[str]:
        if not self.installed:
            return []
        _, out, _ = self.module.run_command([f"{self.tool}-save", "-t", "filter"], check_rc=True)
        return [re.sub(r" \[\d+:\d+\]$", "", line) for line in out.splitlines() if line[:1] in ("-", ":")]

    def on(self) -> bool:
        """Whether packets are dropped, and go through the user's rules before that."""
        hooks = {":INPUT DROP", f"-A INPUT -j {self.prefix}-before-input"}
        hooks.add(f"-A {self.prefix}-before-input -j {self.prefix}-user-input")
        # Of before.rules: without it the next packet of this connection would be dropped.
        hooks.add(f"-A {self.prefix}-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT")
        return hooks <= set(self.lines())

    def user(self) -> dict[str, list[str]]:
        """The rules of the user's chains, each in its order."""
        return self.chains(self.lines())

    def chains(self, lines: list[str]) -> dict[str, list[str]]:
        names = [f"{self.prefix}-{chain}" for chain in CHAINS]
        return {name: [line for line in lines if line.startswith(f"-A {name} ")] for name in names}

    def clear(self) -> None:
        """Let everything in and remove all of ufw's chains, in one step.

        What is left of a firewall that was taken apart by hand: ufw sees its chains, does not hook
        them to INPUT again, and drops what comes, ssh too.
        """
        lines = self.lines()
        jumps = [line for line in lines if re.match(rf"-A (INPUT|OUTPUT|FORWARD) .*-j {self.prefix}-", line)]
        chains = [line.split()[0][1:] for line in lines if line.startswith(f":{self.prefix}-")]
        steps = ["*filter", ":INPUT ACCEPT [0:0]", ":FORWARD ACCEPT [0:0]", ":OUTPUT ACCEPT [0:0]"]
        steps += [f"-D {jump[3:]}" for jump in jumps]
        steps += [f"-F {chain}" for chain in chains] + [f"-X {chain}" for chain in chains]
        if chains:
            self.restore("\n".join([*steps, "COMMIT", ""]))

    def restore(self, rules: str, *options: str) -> None:
        # -n: only the chains that are named, in one step. -w: wait for another that is at it.
        command = [f"{self.tool}-restore", "-n", "-w", "20", *options]
        code, _, err = self.module.run_command(command, data=rules)
        if code != 0:
            self.module.fail_json(msg=f"{self.tool} refuses the rules, nothing was changed: {err}\n{rules}")


def read(path: str) -> str:
    if not os.path.exists(path):
        return ""
    with open(path) as file:
        return file.read()


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "enabled": {"type": "bool", "default": True},
            "rules": {"type": "list", "elements": "dict", "default": []},
            "ssh_ports": {"type": "list", "elements": "int", "required": True},
            "ssh_networks": {"type": "list", "elements": "str", "required": True},
            "admin_networks": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    enabled = module.params["enabled"]
    client, used = session()
    ssh_ports = list(dict.fromkeys(module.params["ssh_ports"] + ([used] if used else [])))
    try:
        rules = declared(module.params, ssh_ports)
        admitted = networks(module.params["admin_networks"] + module.params["ssh_networks"], "ssh")
        if (
            enabled
            and client
            and not client.is_loopback
            and not any(client in network for network in admitted)
        ):
            raise Refused(
                f"found this connection to come from {client}, expected an address in "
                "firewall_ssh_networks or firewall_admin_networks "
                f"({', '.join(map(str, admitted)) or 'both are empty'}): it would be the last one from there"
            )
    except Refused as refusal:
        module.fail_json(msg=f"{refusal}. Nothing was changed.")

    kernels = {version: Kernel(module, version) for version in (4, 6)}
    # In this order: rules before the switch, or a reboot in between would let nobody in.
    wanted = {
        f"{FOLDER}/user6.rules": (user_rules(rules, 6), 0o640),
        f"{FOLDER}/user.rules": (user_rules(rules, 4), 0o640),
        f"{FOLDER}/ufw.conf": (CONF.format(enabled="yes" if enabled else "no"), 0o644),
    }
    stale = [path for path, (contents, _) in wanted.items() if read(path) != contents]
    before = {version: kernel.user() for version, kernel in kernels.items()}
    on = all(kernel.on() for kernel in kernels.values())
    expected = {
        version: kernel.chains(user_rules(rules, version).splitlines()) for version, kernel in kernels.items()
    }
    if enabled:
        action = "start" if not on else "load" if before != expected else "none"
    else:
        action = "stop" if any(kernel.on() for kernel in kernels.values()) else "none"
    unit = systemctl("is-enabled", "ufw.service", check=False)
    result: dict[str, Any] = {
        "changed": bool(stale) or action != "none" or unit.strip() != "enabled",
        "action": action,
        "ssh_ports": ssh_ports,
        "diff": [
            {"before_header": path, "after_header": path, "before": read(path), "after": wanted[path][0]}
            for path in stale
        ],
    }
    if module.check_mode:
        module.exit_json(**result)

    for version, kernel in kernels.items():
        kernel.restore(user_rules(rules, version), "--test")
    if action == "stop":
        # While it is still enabled, or ufw would not stop.
        systemctl("start", "ufw.service")
        systemctl("stop", "ufw.service")
    for path in stale:
        write_file(Path(path), *wanted[path])
    if unit.strip() != "enabled":
        systemctl("enable", "ufw.service")
    if action == "start":
        for kernel in kernels.values():
            kernel.clear()
        systemctl("restart", "ufw.service", check=False)
        if not all(kernel.on() for kernel in kernels.values()):
            for kernel in kernels.values():
                kernel.clear()
            _, log, _ = module.run_command(
                ["journalctl", "--unit=ufw", "--lines=15", "--no-pager", "--output=cat"]
            )
            module.fail_json(
                msg=f"ufw.service started but does not filter; this host was left open, not closed.\n{log}",
                **result,
            )
    if action == "load":
        for version, kernel in kernels.items():
            kernel.restore(user_rules(rules, version))
        # Where an iptables prints rules otherwise than is expected here, loading them changed nothing.
        after = {version: kernel.user() for version, kernel in kernels.items()}
        result["changed"] = bool(stale) or unit.strip() != "enabled" or after != before
    module.exit_json(**result)


if __name__ == "__main__":
    main()
