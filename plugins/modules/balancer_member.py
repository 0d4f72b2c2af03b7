"""Remove a web host from this balancer, or add it again."""

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
short_description: Remove a web host from this balancer, or add it again
description:
  - For hosts of the role balancer. nginx connects to a web host by a symlink for each site, which
    C(decanter-balancer.service) creates and removes according to the health checks.
  - C(out) writes a marker, which survives a reboot, removes the symlinks, and drains the host. The last
    healthy host of a site is not removed.
  - C(in) removes the marker and waits for a new health check that adds the host to each site.
  - Does nothing if this host is not a balancer yet, or if its configuration does not list the web host yet.
options:
  name: {description: The web host's name in the inventory., type: str, required: true}
  state: {description: Whether the host gets requests., type: str, choices: [in, out], required: true}
  sites:
    description: The sites that must be healthy for C(in); all if this is omitted.
    type: list
    elements: str
  drain: {description: Seconds to wait for the end of open connections., type: int, default: 10}
  timeout: {description: Seconds to wait until the host is healthy., type: int, default: 30}
"""
RETURN = r"""
known: {description: Whether the balancer's configuration lists the host., type: bool, returned: always}
out: {description: Whether the host is removed now., type: bool, returned: always}
because: {description: Why the host was not removed., type: str, returned: if it was not removed}
left: {description: The number of connections after the drain., type: int, returned: if it is removed}
"""

CONFIGURATION = Path("/etc/decanter/balancer.json")
RUN = Path("/run/decanter/balancer")
STATE = Path("/var/lib/decanter/balancer")


class Balancer:
    """The state of one web host on this balancer."""

    def __init__(self, name: str) -> None:
        self.name, self.marker = name, STATE / name
        self.configuration: dict[str, Any] = read_json(CONFIGURATION) if STATE.is_dir() else {}
        hosts: list[dict[str, Any]] = self.configuration.get("hosts", [])
        self.host = next((host for host in hosts if host["name"] == name), {})

    @property
    def sites(self) -> list[str]:
        return [site["name"] for site in self.configuration.get("sites", [])]

    def links(self) -> list[Path]:
        """Return the symlinks with which nginx connects to the host."""
        links = [RUN / site / f"{self.name}.sock" for site in self.sites]
        return [link for link in links if link.is_symlink()]

    def states(self) -> dict[str, dict[str, Any]]:
        """Return the states of the hosts of each site, as the service has written them."""
        return read_json(RUN / "state.json").get("sites", {})

    def alone(self) -> list[str]:
        """Return the sites without another healthy host."""
        states = self.states()
        healthy = {
            site: {name for name, one in states.get(site, {}).items() if one["in"] and one["healthy"]}
            for site in self.sites
        }
        gone = {self.name, *(path.name for path in STATE.iterdir())}
        return [site for site, names in healthy.items() if not names - gone]

    def faults(self, sites: list[str] | None, since: float) -> dict[str, str]:
        """Return why the host does not serve a site, by site. Health checks before `since` do not count."""
        states, faults = self.states(), {}
        for site in self.sites if sites is None else sites:
            one = states.get(site, {}).get(self.name, {})
            if not one or one["checked"] < since:
                faults[site] = "no health check was sent (is decanter-balancer.service running?)"
            elif not (one["healthy"] and one["in"]):
                faults[site] = one["fault"] or "it became healthy a moment ago"
        return faults

    def connections(self) -> int:
        """Return the number of nginx's connections to the host."""
        address = self.host["address"]
        address = f"[{address}]" if ":" in address else address
        ports = f"dport = :{self.host['port']}"
        command = ["ss", "-Htnp", "state", "connected", f"dst {address} and {ports}"]
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        # Connections of health checks do not count.
        return len(re.findall(r'^.*"nginx"', out, re.M))

    def drain(self, seconds: float) -> int:
        """Wait until the open connections end; return how many are left."""
        until, none = time.monotonic() + seconds, 0
        while True:
            left = self.connections()
            # Check twice: nginx may connect a moment after it has read the symlink.
            none = 0 if left else none + 1
            if none == 2 or time.monotonic() > until:
                return left
            time.sleep(0.1)


def take_out(module: AnsibleModule, balancer: Balancer) -> dict[str, Any]:
    # Two hosts that are removed at the same time must not both see the other one as healthy.
    with open(RUN / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        marked, links = balancer.marker.exists(), balancer.links()
        if not marked and (alone := balancer.alone()):
            because = f"no other host is healthy for {', '.join(alone)}"
            return {"changed": False, "out": False, "because": because}
        changed = bool(not marked or links)
        if module.check_mode:
            return {"changed": changed, "out": True, "left": 0}
        if not marked:
            write_file(balancer.marker, f"Taken out at {now()}.\n")
    for link in links:
        link.unlink(missing_ok=True)
    if changed:
        reload_service()
    return {"changed": changed, "out": True, "left": balancer.drain(module.params["drain"])}


def put_in(module: AnsibleModule, balancer: Balancer) -> dict[str, Any]:
    changed, sites = balancer.marker.exists(), module.params["sites"]
    result: dict[str, Any] = {"changed": changed, "out": False}
    if module.check_mode:
        return result
    start = time.time()
    balancer.marker.unlink(missing_ok=True)
    reload_service()
    until = time.monotonic() + module.params["timeout"]
    while faults := balancer.faults(sites, start):
        if time.monotonic() > until:
            text = "; ".join(f"{site}: {fault}" for site, fault in faults.items())
            module.fail_json(
                msg=f"{balancer.name}: not healthy within {module.params['timeout']} s. {text}", **result
            )
        time.sleep(0.05)
    return result


def reload_service() -> None:
    """Make the service read the markers and check all hosts now."""
    # This fails if the service is starting or stopped. It reads the markers when it starts.
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
