"""Apply a declared set of ufw rules without a moment in which all ports are open or closed."""

from __future__ import annotations

import ipaddress
import os
import re
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.decanter.stack.plugins.module_utils.shared.files import write_file
from ansible_collections.decanter.stack.plugins.module_utils.shared.systemd import systemctl
from ansible_collections.decanter.stack.plugins.module_utils.ufw_kernel import Kernel
from ansible_collections.decanter.stack.plugins.module_utils.ufw_rules import (
    Refused,
    client_limits,
    declared,
    networks,
    user_rules,
)

DOCUMENTATION = r"""
module: ufw_apply
short_description: Apply a declared set of ufw rules
description:
  - Writes ufw's own files (user.rules, user6.rules, ufw.conf) whole, so that other rules are removed, and
    C(ufw status) and C(ufw allow) still work. Then loads the rules into the kernel.
  - Changes an active firewall with iptables-restore, which replaces ufw's user chains atomically for IPv4 and
    for IPv6. C(ufw reload) would accept all packets for a moment, and permanently if it were killed.
  - Starts an inactive firewall with systemd, which completes the start even if this process is killed. The
    files contain the rules for ssh before that.
  - Compares the files with the kernel, so that the next run completes an interrupted one.
  - Always opens the port of this connection, and fails if the rules would exclude the client's address.
options:
  enabled: {description: Whether the firewall is active., type: bool, default: true}
  rules: {description: Permitted connections in addition to ssh., type: list, elements: dict, default: []}
  ssh_ports: {description: Ports of sshd., type: list, elements: int, required: true}
  ssh_networks: {description: Networks with limited access to ssh., type: list, elements: str, required: true}
  admin_networks: {description: Networks with access to ssh., type: list, elements: str, default: []}
  client_limits:
    description:
      - Limits of the connections of one IPv4 address, or one /64 of IPv6, to TCP C(ports). C(connections) at
        the same time, C(rate) new ones per second; 0 is unlimited. Networks in C(exempt) have no limits.
      - ufw does not support them. C(ufw allow) writes its files without them, and the next run restores
        them.
    type: dict
"""
RETURN = r"""
action: {description: "The change in the kernel: none, load, start or stop.", type: str, returned: always}
ssh_ports: {description: Ports on which ssh is open., type: list, elements: int, returned: always}
"""

FOLDER = "/etc/ufw"
CONF = """#
# Ansible managed
#
# Start at boot, before the network is up.
ENABLED={enabled}
# Log rejected packets, at most three a minute. More would fill the journal with port scans.
LOGLEVEL=low
"""


def session() -> tuple[ipaddress.IPv4Address | ipaddress.IPv6Address | None, int | None]:
    """Return the client's address and sshd's port of this connection; None without one.

    sudo removes SSH_CONNECTION, so it is read from the environment of the parent processes.
    """
    process = os.getpid()
    while process > 1:
        with open(f"/proc/{process}/environ", "rb") as file:
            found = re.search(rb"(?:^|\0)SSH_CONNECTION=(\S+) \d+ \S+ (\d+)", file.read())
        if found:
            address = ipaddress.ip_address(found[1].decode().split("%")[0])
            return getattr(address, "ipv4_mapped", None) or address, int(found[2])
        with open(f"/proc/{process}/stat") as file:
            # The name of the process, in parentheses, can contain any character.
            process = int(file.read().rsplit(")", 1)[1].split()[1])
    return None, None


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
            "client_limits": {"type": "dict"},
        },
        supports_check_mode=True,
    )
    enabled = module.params["enabled"]
    client, used = session()
    ssh_ports = list(dict.fromkeys(module.params["ssh_ports"] + ([used] if used else [])))
    try:
        rules, limits = declared(module.params, ssh_ports), client_limits(module.params)
        files = {version: user_rules(rules, version, limits) for version in (4, 6)}
        admitted = networks(module.params["admin_networks"] + module.params["ssh_networks"], "ssh")
        if (
            enabled
            and client
            and not client.is_loopback
            and not any(client in network for network in admitted)
        ):
            raise Refused(
                f"found a connection from {client}, expected an address in "
                "firewall_ssh_networks or firewall_admin_networks "
                f"({', '.join(map(str, admitted)) or 'both are empty'}), because the firewall would "
                "exclude this client"
            )
    except Refused as refusal:
        module.fail_json(msg=f"{refusal}. Nothing was changed.")

    kernels = {version: Kernel(module, version) for version in (4, 6)}
    # In this order, because a reboot between ufw.conf and the rules would reject all connections.
    wanted = {
        f"{FOLDER}/user6.rules": (files[6], 0o640),
        f"{FOLDER}/user.rules": (files[4], 0o640),
        f"{FOLDER}/ufw.conf": (CONF.format(enabled="yes" if enabled else "no"), 0o644),
    }
    stale = [path for path, (contents, _) in wanted.items() if read(path) != contents]
    before = {version: kernel.user() for version, kernel in kernels.items()}
    on = all(kernel.on() for kernel in kernels.values())
    expected = {version: kernel.chains(files[version].splitlines()) for version, kernel in kernels.items()}
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
        kernel.restore(files[version], "--test")
    if action == "stop":
        # ufw stops only while ufw.conf enables it.
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
                msg=f"ufw.service: it started but does not filter. The host accepts all connections.\n{log}",
                **result,
            )
    if action == "load":
        for version, kernel in kernels.items():
            kernel.restore(files[version])
        # If a version of iptables prints the rules in another form, loading equal rules is not a change.
        after = {version: kernel.user() for version, kernel in kernels.items()}
        result["changed"] = bool(stale) or unit.strip() != "enabled" or after != before
    module.exit_json(**result)


if __name__ == "__main__":
    main()
