"""Speaks as AWS does (moto), and does what moto leaves to those whom it answers for:

- a target is healthy once it answers what its group asks, ill when it does not, and drains before it is gone;
- an instance for which a lifecycle hook waits is in service, and in its target groups, when that is told so.

What becomes of each target is a line of /var/log/targets.jsonl: at, group, target, what.
"""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moto.autoscaling.models import AutoScalingBackend, InstanceState
from moto.autoscaling.responses import AutoScalingResponse
from moto.backends import get_backend
from moto.core import DEFAULT_ACCOUNT_ID
from moto.core.responses import EmptyResult
from moto.elbv2.exceptions import InvalidTargetError
from moto.elbv2.models import FakeHealthStatus, FakeTargetGroup
from moto.server import main

REGION = "eu-west-1"
LOG = Path("/var/log/targets.jsonl")
INTERVAL = 1.0  # seconds between two questions for a target's health
PATIENCE = 2.0  # seconds for an answer
TIMES = 2  # answers in a row that change what is thought of it
DRAINING = 2.0  # seconds for which a target ends what was begun
REASONS = {"initial": "Elb.RegistrationInProgress", "unhealthy": "Target.FailedHealthChecks"}

# As an ALB, it does not look at the certificate.
CONTEXT = ssl.create_default_context()
CONTEXT.check_hostname, CONTEXT.verify_mode = False, ssl.CERT_NONE


@dataclass
class Health:
    state: str = "initial"
    others: int = 0  # answers in a row that say something else

    def hear(self, well: bool) -> bool:
        """Whether an answer has changed it."""
        said = "healthy" if well else "unhealthy"
        self.others = 0 if said == self.state else self.others + 1
        if self.others < TIMES:
            return False
        self.state, self.others = said, 0
        return True


# By the group's ARN and the target's id.
HEALTH: dict[tuple[str, str], Health] = {}
DRAINED: dict[tuple[str, str], float] = {}


def note(group: FakeTargetGroup, target: str, what: str) -> None:
    line = {"at": time.time(), "group": group.name, "target": target, "what": what}
    with LOG.open("a") as file:
        file.write(f"{json.dumps(line)}\n")


def instead(cls: type) -> Callable[[Callable[..., Any]], None]:
    """Have a class do what is decorated in the place of what it does, which is the first argument."""

    def replace(new: Callable[..., Any]) -> None:
        old = getattr(cls, new.__name__, None)
        setattr(cls, new.__name__, lambda self, *args, **kw: new(old, self, *args, **kw))

    return replace


# --- Target groups -----------------------------------------------------------------------------


@instead(FakeTargetGroup)
def register(old: Callable[..., None], self: FakeTargetGroup, targets: list[dict[str, Any]]) -> None:
    new = [each["Id"] for each in targets if each["Id"] not in self.targets]
    if not all(identifier.startswith("i-") for identifier in new):
        raise InvalidTargetError  # its kind is instances
    for identifier in new:
        HEALTH[self.arn, identifier] = Health()
    old(self, targets)
    for identifier in new:
        note(self, identifier, "in")


@instead(FakeTargetGroup)
def deregister(old: Callable[..., None], self: FakeTargetGroup, targets: list[dict[str, Any]]) -> None:
    old(self, targets)
    for each in targets:
        DRAINED[self.arn, each["Id"]] = time.monotonic() + DRAINING
        note(self, each["Id"], "out")


@instead(FakeTargetGroup)
def health_for(
    old: Callable[..., FakeHealthStatus], self: FakeTargetGroup, target: dict[str, Any], ec2_backend: Any
) -> FakeHealthStatus:
    key, told = (self.arn, target["Id"]), (target["Id"], self.port, self.health_check_port)
    if target["Id"] in self.targets:
        state = HEALTH[key].state
        return FakeHealthStatus(*told, state, REASONS.get(state))
    if time.monotonic() < DRAINED.get(key, 0.0):
        return FakeHealthStatus(*told, "draining", "Target.DeregistrationInProgress")
    return old(self, target, ec2_backend)


def answers(group: FakeTargetGroup, identifier: str) -> bool:
    address = get_backend("ec2")[DEFAULT_ACCOUNT_ID][REGION].get_instance(identifier).private_ip
    connection = http.client.HTTPSConnection(address, group.port, timeout=PATIENCE, context=CONTEXT)
    try:
        connection.request("GET", group.health_check_path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def ask_for_ever() -> None:
    while True:
        for group in list(get_backend("elbv2")[DEFAULT_ACCOUNT_ID][REGION].target_groups.values()):
            for identifier in list(group.targets):
                health = HEALTH[group.arn, identifier]
                if health.hear(answers(group, identifier)):
                    note(group, identifier, health.state)
        time.sleep(INTERVAL)


# --- Auto Scaling ------------------------------------------------------------------------------


@instead(InstanceState)
def __init__(old: Callable[..., None], self: InstanceState, *args: Any, **kw: Any) -> None:
    old(self, *args, **kw)
    group = self.auto_scaling_group
    if group.autoscaling_backend.describe_lifecycle_hooks(group.name):
        self.lifecycle_state = "Pending:Wait"


@instead(AutoScalingBackend)
def update_attached_target_groups(_: Any, self: AutoScalingBackend, group_name: str) -> None:
    group = self.autoscaling_groups[group_name]
    # Each once: who takes one out afterwards means it.
    new = [
        one
        for one in group.instance_states
        if one.lifecycle_state == "InService" and not getattr(one, "registered", False)
    ]
    for one in new:
        one.registered = True
    for arn in group.target_group_arns:
        self.elbv2_backend.register_targets(arn, [{"Id": one.instance_id} for one in new])


@instead(AutoScalingResponse)
def complete_lifecycle_action(_: Any, self: AutoScalingResponse) -> EmptyResult:
    backend = self.autoscaling_backend
    group = backend.autoscaling_groups[self._get_param("AutoScalingGroupName")]
    goes_on = self._get_param("LifecycleActionResult") == "CONTINUE"
    for one in group.instance_states:
        if one.instance_id == self._get_param("InstanceId"):
            one.lifecycle_state = "InService" if goes_on else "Terminating"
    backend.update_attached_target_groups(group.name)
    return EmptyResult()


if __name__ == "__main__":
    threading.Thread(target=ask_for_ever, daemon=True).start()
    main(["-H", "0.0.0.0", "-p", "5000"])
