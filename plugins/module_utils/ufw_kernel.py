"""The rules of ufw in the kernel, read and replaced by the programs of iptables."""

from __future__ import annotations

import re

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.decanter.stack.plugins.module_utils.ufw_rules import CHAINS


class Kernel:
    """The rules of the kernel for IPv4 or IPv6."""

    def __init__(self, module: AnsibleModule, version: int) -> None:
        self.module = module
        self.prefix = "ufw6" if version == 6 else "ufw"
        self.tool = "ip6tables" if version == 6 else "iptables"
        self.installed = module.get_bin_path(f"{self.tool}-save") is not None

    def lines(self) -> list[str]:
        """Return the rules and chains as iptables-save prints them, without counters."""
        if not self.installed:
            return []
        _, out, _ = self.module.run_command([f"{self.tool}-save", "-t", "filter"], check_rc=True)
        return [re.sub(r" \[\d+:\d+\]$", "", line) for line in out.splitlines() if line[:1] in ("-", ":")]

    def on(self) -> bool:
        """Return whether the kernel applies the rules of the user and drops other packets."""
        hooks = {":INPUT DROP", f"-A INPUT -j {self.prefix}-before-input"}
        hooks.add(f"-A {self.prefix}-before-input -j {self.prefix}-user-input")
        # From before.rules. Without it the kernel would drop the next packet of this connection.
        hooks.add(f"-A {self.prefix}-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT")
        return hooks <= set(self.lines())

    def user(self) -> dict[str, list[str]]:
        """Return the rules of the user's chains, each in its order."""
        return self.chains(self.lines())

    def chains(self, lines: list[str]) -> dict[str, list[str]]:
        """Return the rules in lines by the user's chain."""
        names = [f"{self.prefix}-{chain}" for chain in CHAINS]
        return {name: [line for line in lines if line.startswith(f"-A {name} ")] for name in names}

    def clear(self) -> None:
        """Accept all packets and remove all chains of ufw, in one step.

        An operator may have removed a part of the firewall. ufw does not hook existing chains to INPUT
        again, and drops all packets, those of ssh too.
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
        """Replace the chains that rules declare."""
        # -n: keep other chains. -w: wait for the lock of another process.
        command = [f"{self.tool}-restore", "-n", "-w", "20", *options]
        code, _, err = self.module.run_command(command, data=rules)
        if code != 0:
            self.module.fail_json(msg=f"{self.tool}: invalid rules. Nothing was changed. {err}\n{rules}")
