"""Take a web host out of this balancer, or put it back."""

from __future__ import annotations

import contextlib
import fcntl
import re
import subprocess
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.decanter.stack.plugins.module_utils.shared.files import write_file
from ansible_collections.decanter.stack.plugins.module_utils.shared.systemd import systemctl
from ansible_collections.decanter.stack.plugins.module_utils.site import now, read_json

DOCUMENTATION = r"""
module: balancer_member
short_description: Take a web host out of this balancer, or put it back
description:
  - For the hosts that role balancer sets up. nginx reaches a web host by a symlink for each site, which
    C(decanter-balancer.service) makes and removes as the host's health is.
  - C(out) leaves a marker, which survives a reboot, removes the symlinks, and waits for what was begun to
    end. The only host that a site has is left in, for nobody else would answer.
  - C(in) removes the marker and waits until the host was asked anew and is in for each site.
  - Where this host is no balancer yet, or does not know the web host yet, nothing is done.
options:
  name: {description: The web host's name in the inventory., type: str, required: true}
  state: {description: Whether it gets visitors., type: str, choices: [in, out], required: true}
  sites:
    description: The sites that have to be healthy before it is in; all if this is omitted.
    type: list
    elements: str
  drain: {description: Seconds for which it may end what was begun., type: int, default: 10}
  timeout: {description: Seconds within which it has to be healthy., type: int, default: 30}
"""
RETURN = r"""
known: {description: Whether this balancer knows the host., type: bool, returned: always}
out: {description: Whether it is out now., type: bool, returned: always}
because: {description: Why it was left in., type: str, returned: when it was}
left: {description: How many connections to it were left in the end., type: int, returned: when it is out}
"""

CONFIGURATION = Path("/etc/decanter/balancer.json")
RUN = Path("/run/decanter/balancer")
STATE = Path("/var/lib/decanter/balancer")


class Balancer:
    """This balancer, as far as one web host is concerned."""

    def __init__(self, name: str) -> None:
        self.name, self.marker = name, STATE / name
        self.configuration: dict[str, Any] = read_json(CONFIGURATION) if STATE.is_dir() else {}
        hosts: list[dict[str, Any]] = self.configuration.get("hosts", [])
        self.host = next((host for host in hosts if host["name"] == name), {})

    @property
    def sites(self) -> list[str]:
        return [site["name"] for site in self.configuration.get("sites", [])]

    def links(self) -> list[Path]:
        """The symlinks by which nginx reaches it."""
        links = [RUN / site / f"{self.name}.sock" for site in self.sites]
        return [link for link in links if link.is_symlink()]

    def told(self) -> dict[str, dict[str, Any]]:
        """What the service knows of each site's hosts."""
        return read_json(RUN / "state.json").get("sites", {})

    def alone(self) -> list[str]:
        """The sites for which nobody else is in and healthy."""
        told = self.told()
        healthy = {
            site: {name for name, one in told.get(site, {}).items() if one["in"] and one["healthy"]}
            for site in self.sites
        }
        gone = {self.name, *(path.name for path in STATE.iterdir())}
        return [site for site, names in healthy.items() if not names - gone]

    def faults(self, sites: list[str] | None, since: float) -> dict[str, str]:
        """The sites that it is not in for, or not known to be, since a time, and why."""
        told, faults = self.told(), {}
        for site in self.sites if sites is None else sites:
            one = told.get(site, {}).get(self.name, {})
            if not one or one["checked"] < since:
                faults[site] = "it was not asked for its health (is decanter-balancer.service running?)"
            elif not (one["healthy"] and one["in"]):
                faults[site] = one["fault"] or "it has only just become healthy"
        return faults

    def connections(self) -> int:
        """How many connections nginx has to it."""
        address = self.host["address"]
        address = f"[{address}]" if ":" in address else address
        ports = f"dport = :{self.host['port']}"
        command = ["ss", "-Htnp", "state", "connected", f"dst {address} and {ports}"]
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        # Those that ask for health are not waited for.
        return len(re.findall(r'^.*"nginx"', out, re.M))

    def drained(self, seconds: float) -> int:
        """Wait for what was begun to end; how many connections are left."""
        until, none = time.monotonic() + seconds, 0
        while True:
            left = self.connections()
            # Twice: one that had read the symlink may come a moment later.
            none = 0 if left else none + 1
            if none == 2 or time.monotonic() > until:
                return left
            time.sleep(0.1)


def take_out(module: AnsibleModule, balancer: Balancer) -> dict[str, Any]:
    # Of two who go at once, one is the last.
    with open(RUN / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        marked, links = balancer.marker.exists(), balancer.links()
        if not marked and (alone := balancer.alone()):
            because = f"nobody else is healthy for {', '.join(alone)}"
            return {"changed": False, "out": False, "because": because}
        changed = bool(not marked or links)
        if module.check_mode:
            return {"changed": changed, "out": True, "left": 0}
        if not marked:
            write_file(balancer.marker, f"Taken out at {now()}.\n")
    for link in links:
        link.unlink(missing_ok=True)
    if changed:
        ask_now()
    return {"changed": changed, "out": True, "left": balancer.drained(module.params["drain"])}


def put_in(module: AnsibleModule, balancer: Balancer) -> dict[str, Any]:
    changed, sites = balancer.marker.exists(), module.params["sites"]
    result: dict[str, Any] = {"changed": changed, "out": False}
    if module.check_mode:
        return result
    asked = time.time()
    balancer.marker.unlink(missing_ok=True)
    ask_now()
    until = time.monotonic() + module.params["timeout"]
    while faults := balancer.faults(sites, asked):
        if time.monotonic() > until:
            told = "; ".join(f"{site}: {fault}" for site, fault in faults.items())
            module.fail_json(
                msg=f"{balancer.name} was not in within {module.params['timeout']} s. {told}", **result
            )
        time.sleep(0.05)
    return result


def ask_now() -> None:
    """Have the service look at the markers and ask everybody."""
    # One that is being started, or does not run, looks when it does.
    with contextlib.suppress(RuntimeError):
        systemctl("reload", "decanter-balancer.service")


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["in", "out"], "required": True},
            "sites": {"type": "list", "elements": "str"},
            "drain": {"type": "int", "default": 10},
            "timeout": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    balancer = Balancer(module.params["name"])
    if not balancer.host:
        module.exit_json(changed=False, known=False, out=False)
    work = take_out if module.params["state"] == "out" else put_in
    module.exit_json(known=True, **work(module, balancer))


if __name__ == "__main__":
    main()
