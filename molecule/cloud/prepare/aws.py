"""A stub of AWS: moto, with behaviour that moto lacks.

- Health checks make a target healthy or unhealthy. A deregistered target drains.
- An instance that waits for a lifecycle hook enters service and its target groups once the hook is completed.

Each event of a target is a line of /var/log/targets.jsonl: at, group, target, event.
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
INTERVAL = 1.0  # seconds between two health checks of a target
TIMEOUT = 2.0  # seconds for a response
THRESHOLD = 2  # consecutive results that change the state of a target
DRAIN_SECONDS = 2.0
REASONS = {"initial": "Elb.RegistrationInProgress", "unhealthy": "Target.FailedHealthChecks"}

# An ALB does not verify the certificates of its targets.
CONTEXT = ssl.create_default_context()
CONTEXT.check_hostname, CONTEXT.verify_mode = False, ssl.CERT_NONE


@dataclass
class Health:
    state: str = "initial"
    different: int = 0  # consecutive results that differ from the state

    def update(self, success: bool) -> bool:
        """Count the result of a health check. Return whether it changed the state."""
        result = "healthy" if success else "unhealthy"
        self.different = 0 if result == self.state else self.different + 1
        if self.different < THRESHOLD:
            return False
        self.state, self.different = result, 0
        return True


# The keys are the group's ARN and the target's ID.
HEALTH: dict[tuple[str, str], Health] = {}
DRAIN_END: dict[tuple[str, str], float] = {}  # by time.monotonic()


def log_event(group: FakeTargetGroup, target: str, event: str) -> None:
    line = {"at": time.time(), "group": group.name, "target": target, "event": event}
    with LOG.open("a") as file:
        file.write(f"{json.dumps(line)}\n")


def override(cls: type) -> Callable[[Callable[..., Any]], None]:
    """Replace the class's method of the same name, which the new one gets as its first argument."""

    def replace(new: Callable[..., Any]) -> None:
        old = getattr(cls, new.__name__, None)
        setattr(cls, new.__name__, lambda self, *args, **kw: new(old, self, *args, **kw))

    return replace


# --- Target groups -----------------------------------------------------------------------------


@override(FakeTargetGroup)
def register(old: Callable[..., None], self: FakeTargetGroup, targets: list[dict[str, Any]]) -> None:
    new = [each["Id"] for each in targets if each["Id"] not in self.targets]
    if not all(identifier.startswith("i-") for identifier in new):
        raise InvalidTargetError  # the target type of the group is `instance`
    for identifier in new:
        HEALTH[self.arn, identifier] = Health()
    old(self, targets)
    for identifier in new:
        log_event(self, identifier, "in")


@override(FakeTargetGroup)
def deregister(old: Callable[..., None], self: FakeTargetGroup, targets: list[dict[str, Any]]) -> None:
    old(self, targets)
    for each in targets:
        DRAIN_END[self.arn, each["Id"]] = time.monotonic() + DRAIN_SECONDS
        log_event(self, each["Id"], "out")


@override(FakeTargetGroup)
def health_for(
    old: Callable[..., FakeHealthStatus], self: FakeTargetGroup, target: dict[str, Any], ec2_backend: Any
) -> FakeHealthStatus:
    key, target_port = (self.arn, target["Id"]), (target["Id"], self.port, self.health_check_port)
    if target["Id"] in self.targets:
        state = HEALTH[key].state
        return FakeHealthStatus(*target_port, state, REASONS.get(state))
    if time.monotonic() < DRAIN_END.get(key, 0.0):
        return FakeHealthStatus(*target_port, "draining", "Target.DeregistrationInProgress")
    return old(self, target, ec2_backend)


def is_healthy(group: FakeTargetGroup, identifier: str) -> bool:
    address = get_backend("ec2")[DEFAULT_ACCOUNT_ID][REGION].get_instance(identifier).private_ip
    connection = http.client.HTTPSConnection(address, group.port, timeout=TIMEOUT, context=CONTEXT)
    try:
        connection.request("GET", group.health_check_path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def check_targets_forever() -> None:
    while True:
        for group in list(get_backend("elbv2")[DEFAULT_ACCOUNT_ID][REGION].target_groups.values()):
            for identifier in list(group.targets):
                health = HEALTH[group.arn, identifier]
                if health.update(is_healthy(group, identifier)):
                    log_event(group, identifier, health.state)
        time.sleep(INTERVAL)


# --- Auto Scaling ------------------------------------------------------------------------------


@override(InstanceState)
def __init__(old: Callable[..., None], self: InstanceState, *args: Any, **kw: Any) -> None:
    old(self, *args, **kw)
    group = self.auto_scaling_group
    if group.autoscaling_backend.describe_lifecycle_hooks(group.name):
        self.lifecycle_state = "Pending:Wait"


@override(AutoScalingBackend)
def update_attached_target_groups(_: Any, self: AutoScalingBackend, group_name: str) -> None:
    group = self.autoscaling_groups[group_name]
    # Register each instance once, because an operator may deregister it later.
    new = [
        instance
        for instance in group.instance_states
        if instance.lifecycle_state == "InService" and not getattr(instance, "registered", False)
    ]
    for instance in new:
        instance.registered = True
    for arn in group.target_group_arns:
        self.elbv2_backend.register_targets(arn, [{"Id": instance.instance_id} for instance in new])


@override(AutoScalingResponse)
def complete_lifecycle_action(_: Any, self: AutoScalingResponse) -> EmptyResult:
    backend = self.autoscaling_backend
    group = backend.autoscaling_groups[self._get_param("AutoScalingGroupName")]
    success = self._get_param("LifecycleActionResult") == "CONTINUE"
    for instance in group.instance_states:
        if instance.instance_id == self._get_param("InstanceId"):
            instance.lifecycle_state = "InService" if success else "Terminating"
    backend.update_attached_target_groups(group.name)
    return EmptyResult()


if __name__ == "__main__":
    threading.Thread(target=check_targets_forever, daemon=True).start()
    main(["-H", "0.0.0.0", "-p", "5000"])
