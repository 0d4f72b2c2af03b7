"""Remove a web host from the target groups of an AWS load balancer, or add it again."""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

try:
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:
    boto3 = None

DOCUMENTATION = r"""
module: balancer_target
short_description: Remove a web host from the target groups of an AWS load balancer, or add it again
description:
  - Runs on the controller, which has credentials of AWS; the web host needs none.
  - C(out) deregisters the host and waits until the load balancer has drained it. The last healthy host of a
    target group is not removed.
  - C(in) registers the host and waits until it is healthy in each target group.
  - community.aws.elb_target would remove the last host, has no check mode, and does not wait for a host that
    is already registered.
options:
  name: {description: The web host's name in the inventory., type: str, required: true}
  target: {description: The ID of the instance, or its address., type: str, required: true}
  state: {description: Whether the host gets requests., type: str, choices: [in, out], required: true}
  groups: {description: Names or ARNs of the target groups., type: list, elements: str, required: true}
  region: {description: "The region; if empty, that of the environment variables.", type: str, default: ""}
  drain: {description: Seconds to wait for the end of requests., type: int, default: 10}
  timeout: {description: Seconds to wait until the host is healthy., type: int, default: 30}
"""
RETURN = r"""
out: {description: Whether the host is removed now., type: bool, returned: always}
because: {description: Why the host was not removed., type: str, returned: if it was not removed}
draining: {description: Groups that still drain the host at the end., type: list, returned: if it is removed}
"""

# The target has no requests and gets none.
GONE = "Target.NotRegistered"
# No listener forwards to the group, so its targets have no health checks.
UNUSED = "Target.NotInUse"


class Groups:
    """The state of one web host in the target groups."""

    def __init__(self, client: Any, names: list[str], target: str) -> None:
        self.client, self.target = client, {"Id": target}
        self.arns = {name: self.arn(name) for name in names}

    def arn(self, name: str) -> str:
        if name.startswith("arn:"):
            return name
        return self.client.describe_target_groups(Names=[name])["TargetGroups"][0]["TargetGroupArn"]

    def health(self, name: str) -> dict[str, str]:
        """Return the health of the host in a group: its State, and a Reason if it is not healthy."""
        response = self.client.describe_target_health(TargetGroupArn=self.arns[name], Targets=[self.target])
        return response["TargetHealthDescriptions"][0]["TargetHealth"]

    def having(self) -> list[str]:
        """Return the groups in which the host is registered."""
        return [name for name in self.arns if self.registered(self.health(name))]

    @staticmethod
    def registered(health: dict[str, str]) -> bool:
        return health["State"] != "draining" and health.get("Reason") != GONE

    def alone(self) -> list[str]:
        """Return the groups in which the host is registered and no other host is healthy."""
        return [name for name in self.having() if not self.others(name)]

    def others(self, name: str) -> list[str]:
        """Return the IDs of other healthy hosts of a group."""
        response = self.client.describe_target_health(TargetGroupArn=self.arns[name])
        others = [
            one for one in response["TargetHealthDescriptions"] if one["Target"]["Id"] != self.target["Id"]
        ]
        # Targets of a group without a listener have no health checks.
        fit = [
            one
            for one in others
            if one["TargetHealth"]["State"] == "healthy" or one["TargetHealth"].get("Reason") == UNUSED
        ]
        return [one["Target"]["Id"] for one in fit]

    def draining(self) -> list[str]:
        return [name for name in self.arns if self.health(name)["State"] == "draining"]

    def faults(self) -> dict[str, str]:
        """Return why the host is not healthy, by group."""
        states = {name: self.health(name) for name in self.arns}
        return {
            name: " ".join(filter(None, (one.get("Reason", one["State"]), one.get("Description"))))
            for name, one in states.items()
            if one["State"] != "healthy" and one.get("Reason") != UNUSED
        }


@contextlib.contextmanager
def one_at_a_time(arns: list[str]) -> Iterator[None]:
    """Lock the groups, so that two hosts removed at once do not both see the other as healthy.

    The tasks of a run are processes of the controller.
    """
    name = hashlib.sha256(" ".join(sorted(arns)).encode()).hexdigest()[:16]
    path = Path(tempfile.gettempdir()) / f"decanter-{getpass.getuser()}-{name}.lock"
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def take_out(module: AnsibleModule, groups: Groups) -> dict[str, Any]:
    with one_at_a_time(list(groups.arns.values())):
        having = groups.having()
        if alone := groups.alone():
            because = f"no other host is healthy in {', '.join(alone)}"
            return {"changed": False, "out": False, "because": because}
        if module.check_mode:
            return {"changed": bool(having), "out": True, "draining": []}
        for name in having:
            groups.client.deregister_targets(TargetGroupArn=groups.arns[name], Targets=[groups.target])
    until = time.monotonic() + module.params["drain"]
    while (draining := groups.draining()) and time.monotonic() < until:
        time.sleep(1)
    return {"changed": bool(having), "out": True, "draining": draining}


def put_in(module: AnsibleModule, groups: Groups) -> dict[str, Any]:
    missing = [name for name in groups.arns if name not in groups.having()]
    result: dict[str, Any] = {"changed": bool(missing), "out": False}
    if module.check_mode:
        return result
    for name in missing:
        groups.client.register_targets(TargetGroupArn=groups.arns[name], Targets=[groups.target])
    until = time.monotonic() + module.params["timeout"]
    while faults := groups.faults():
        if time.monotonic() > until:
            text = "; ".join(f"{name}: {fault}" for name, fault in faults.items())
            module.fail_json(
                msg=f"{module.params['name']}: not healthy within {module.params['timeout']} s. {text}",
                **result,
            )
        time.sleep(1)
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "target": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["in", "out"], "required": True},
            "groups": {"type": "list", "elements": "str", "required": True},
            "region": {"type": "str", "default": ""},
            "drain": {"type": "int", "default": 10},
            "timeout": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    if boto3 is None:
        module.fail_json(msg=f"{missing_required_lib('boto3')} Remedy: bin/setup aws on the controller.")
    work = take_out if module.params["state"] == "out" else put_in
    try:
        client = boto3.client("elbv2", region_name=module.params["region"] or None)
        groups = Groups(client, module.params["groups"], module.params["target"])
        module.exit_json(**work(module, groups))
    except (BotoCoreError, ClientError) as error:
        module.fail_json(msg=f"{module.params['name']}: the request to AWS failed: {error}")


if __name__ == "__main__":
    main()
