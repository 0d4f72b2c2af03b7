"""Take a web host out of the target groups of an AWS load balancer, or put it back."""

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
short_description: Take a web host out of the target groups of an AWS load balancer, or put it back
description:
  - For the controller, which has a key or a role; the web host needs neither.
  - C(out) deregisters it and waits until the load balancer has no request of it left. The only healthy host
    of a target group is left in, for nobody else would answer.
  - C(in) registers it and waits until it is healthy in each target group.
  - community.aws.elb_target would take the last one out, has no check mode, and does not wait for one that
    is registered already.
options:
  name: {description: The web host's name in the inventory., type: str, required: true}
  target: {description: The id of its instance or its address., type: str, required: true}
  state: {description: Whether it gets visitors., type: str, choices: [in, out], required: true}
  groups: {description: Names or ARNs of the target groups., type: list, elements: str, required: true}
  region: {description: Of the target groups; where none is said the environment's., type: str, default: ""}
  drain: {description: Seconds for which it may end what was begun., type: int, default: 10}
  timeout: {description: Seconds within which it has to be healthy., type: int, default: 30}
"""
RETURN = r"""
out: {description: Whether it is out now., type: bool, returned: always}
because: {description: Why it was left in., type: str, returned: when it was}
draining: {description: Groups with requests of it left in the end., type: list, returned: when it is out}
"""

# It has no requests, and will get none.
GONE = "Target.NotRegistered"
# No listener sends anybody to the group yet: nothing to wait for.
UNUSED = "Target.NotInUse"


class Groups:
    """The target groups, as far as one web host is concerned."""

    def __init__(self, client: Any, names: list[str], target: str) -> None:
        self.client, self.target = client, {"Id": target}
        self.arns = {name: self.arn(name) for name in names}

    def arn(self, name: str) -> str:
        if name.startswith("arn:"):
            return name
        return self.client.describe_target_groups(Names=[name])["TargetGroups"][0]["TargetGroupArn"]

    def health(self, name: str) -> dict[str, str]:
        """What one of them says of the host: a state, and where it is not healthy a reason."""
        asked = self.client.describe_target_health(TargetGroupArn=self.arns[name], Targets=[self.target])
        return asked["TargetHealthDescriptions"][0]["TargetHealth"]

    def having(self) -> list[str]:
        """Those that send visitors to it, or would."""
        return [name for name in self.arns if self.registered(self.health(name))]

    @staticmethod
    def registered(health: dict[str, str]) -> bool:
        return health["State"] != "draining" and health.get("Reason") != GONE

    def alone(self) -> list[str]:
        """Those that have it, and no other that is healthy."""
        return [name for name in self.having() if not self.others(name)]

    def others(self, name: str) -> list[str]:
        told = self.client.describe_target_health(TargetGroupArn=self.arns[name])["TargetHealthDescriptions"]
        others = [one for one in told if one["Target"]["Id"] != self.target["Id"]]
        # Where nobody comes, nobody is asked for its health.
        fit = [
            one
            for one in others
            if one["TargetHealth"]["State"] == "healthy" or one["TargetHealth"].get("Reason") == UNUSED
        ]
        return [one["Target"]["Id"] for one in fit]

    def draining(self) -> list[str]:
        return [name for name in self.arns if self.health(name)["State"] == "draining"]

    def faults(self) -> dict[str, str]:
        """Those in which it is not healthy, and why."""
        told = {name: self.health(name) for name in self.arns}
        return {
            name: " ".join(filter(None, (one.get("Reason", one["State"]), one.get("Description"))))
            for name, one in told.items()
            if one["State"] != "healthy" and one.get("Reason") != UNUSED
        }


@contextlib.contextmanager
def one_at_a_time(arns: list[str]) -> Iterator[None]:
    """Of two hosts that go at once, one is the last. A run's tasks are processes of this machine."""
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
            because = f"nobody else is healthy in {', '.join(alone)}"
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
            told = "; ".join(f"{name}: {fault}" for name, fault in faults.items())
            module.fail_json(
                msg=f"{module.params['name']} was not in within {module.params['timeout']} s. {told}",
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
        module.fail_json(msg=f"{missing_required_lib('boto3')} On the controller: bin/setup aws")
    work = take_out if module.params["state"] == "out" else put_in
    try:
        client = boto3.client("elbv2", region_name=module.params["region"] or None)
        groups = Groups(client, module.params["groups"], module.params["target"])
        module.exit_json(**work(module, groups))
    except (BotoCoreError, ClientError) as error:
        module.fail_json(msg=f"{module.params['name']}: AWS refused. {error}")


if __name__ == "__main__":
    main()
