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
    declared,
    networks,
    user_rules,
)

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
CONF = """#
# Ansible managed
#
# From boot on, before the network is up.
ENABLED={enabled}
# Refused packets, three a minute: more fills the journal with what the whole Internet knocks on.
LOGLEVEL=low
"""


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
