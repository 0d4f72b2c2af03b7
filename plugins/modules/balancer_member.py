"""Remove a web host from this balancer, or add it again."""

from __future__ import annotations

import fcntl
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.decanter.stack.plugins.module_utils.shared import haproxy

DOCUMENTATION = r"""
module: balancer_member
short_description: Remove a web host from this balancer, or add it again
description:
  - For hosts of the role balancer. HAProxy has a backend for each site, with a server for each web host.
  - M(community.general.haproxy) has no check mode, removes the last host, and does not wait for a new health
    check.
  - C(out) puts the servers of the host into maintenance and drains them. This outlives a reload, a restart
    and a reboot. The last healthy host of a site is not removed.
  - C(in) starts the health checks of the host, and sends requests to it after a new check has succeeded for
    each site.
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
left: {description: The number of requests after the drain., type: int, returned: if it is removed}
"""

LOCK = Path("/run/lock/decanter-balancer")
HAPROXY, CONFIGURATION = Path("/usr/sbin/haproxy"), Path("/etc/haproxy/sites")
# A backend that follows the states of another one (roles/balancer/templates/etc/haproxy/sites).
FOLLOWER = ".once"


class Balancer:
    """The servers of one web host on this balancer."""

    def __init__(self, name: str) -> None:
        self.name = name

    def own(self) -> list[dict[str, str]]:
        """Return the servers of the web host. Raise OSError without a running HAProxy."""
        return [row for row in haproxy.servers() if row["svname"] == self.name]

    def alone(self) -> list[str]:
        """Return the sites without another healthy host."""
        rows = [row for row in haproxy.servers() if is_checked(row)]
        others = {row["pxname"] for row in rows if row["svname"] != self.name and is_healthy(row)}
        return sorted({row["pxname"] for row in rows if row["svname"] == self.name} - others)

    def set_state(self, state: str) -> None:
        """Set the state of the servers: `maint`, `drain` or `ready`."""
        for row in self.own():
            if not row["pxname"].endswith(FOLLOWER):
                haproxy.change(f"set server {row['pxname']}/{self.name} state {state}")

    def faults(self, sites: list[str] | None) -> dict[str, str]:
        """Return why the host does not serve a site, by site."""
        found = {row["pxname"]: row for row in self.own() if is_checked(row)}
        return {
            site: reason
            for site in (found if sites is None else sites)
            if (reason := fault(found[site]) if site in found else "it is not a site of this balancer")
        }

    def drain(self, seconds: float) -> int:
        """Wait until the requests of the host end; return how many are left."""
        until, none = time.monotonic() + seconds, 0
        while True:
            left = sum(int(row["scur"]) for row in self.own())
            # Check twice: a thread may have selected the server a moment before.
            none = 0 if left else none + 1
            if none == 2 or time.monotonic() > until:
                return left
            time.sleep(0.1)


def is_checked(row: dict[str, str]) -> bool:
    """Return whether a server has health checks. Their backend has the name of the site."""
    return "." not in row["pxname"]


def is_removed(row: dict[str, str]) -> bool:
    """Return whether a server is in maintenance or drained."""
    return int(row["srv_admin_state"]) != 0


def is_healthy(row: dict[str, str]) -> bool:
    """Return whether a server gets requests: it is starting slowly (1) or running (2)."""
    return not is_removed(row) and row["srv_op_state"] in ("1", "2")


def fault(row: dict[str, str]) -> str:
    """Return why a server is not healthy, or an empty string after a successful check.

    A server that leaves maintenance has the health `rise`. A successful check sets `rise + fall - 1`.
    """
    if row["srv_op_state"] == "0":
        parts = (row["check_desc"], row["check_code"], row["last_chk"])
        return " ".join(part for part in parts if part) or "health checks are paused"
    full = int(row["check_rise"]) + int(row["check_fall"]) - 1 if row["check_rise"] else -1
    return "" if int(row["srv_check_health"]) == full else "no health check has succeeded yet"


def take_out(module: AnsibleModule, balancer: Balancer) -> dict[str, Any]:
    # Two hosts that are removed at the same time must not both see the other one as healthy.
    with open(LOCK, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        changed = not all(is_removed(row) for row in balancer.own())
        if changed and (alone := balancer.alone()):
            because = f"no other host is healthy for {', '.join(alone)}"
            return {"changed": False, "out": False, "because": because}
        if module.check_mode:
            return {"changed": changed, "out": True, "left": 0}
        if changed:
            balancer.set_state("maint")
            haproxy.save_state()
    return {"changed": changed, "out": True, "left": balancer.drain(module.params["drain"])}


def put_in(module: AnsibleModule, balancer: Balancer) -> dict[str, Any]:
    changed, sites = any(is_removed(row) for row in balancer.own()), module.params["sites"]
    result: dict[str, Any] = {"changed": changed, "out": False}
    if module.check_mode:
        return result
    if changed:
        # Checks start again in this order, and no request is sent before one has succeeded.
        balancer.set_state("maint")
        balancer.set_state("drain")
    until = time.monotonic() + module.params["timeout"]
    while (faults := balancer.faults(sites)) and time.monotonic() < until:
        time.sleep(0.05)
    if changed:
        # Health checks keep a host out that is not healthy yet.
        balancer.set_state("ready")
        haproxy.save_state()
    if faults:
        text = "; ".join(f"{site}: {reason}" for site, reason in faults.items())
        module.fail_json(
            msg=f"{balancer.name}: not healthy within {module.params['timeout']} s. {text}", **result
        )
    return result


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
    if not (HAPROXY.exists() and CONFIGURATION.is_dir()):
        module.exit_json(changed=False, known=False, out=False)
    try:
        if not balancer.own():
            module.exit_json(changed=False, known=False, out=False)
        work = take_out if module.params["state"] == "out" else put_in
        module.exit_json(known=True, **work(module, balancer))
    except (OSError, haproxy.HaproxyError) as error:
        module.fail_json(
            msg=f"{balancer.name}: HAProxy does not respond ({error}). Start haproxy.service on the balancer."
        )


if __name__ == "__main__":
    main()
