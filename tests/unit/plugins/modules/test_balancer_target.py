"""Drain a web host from an ALB's target groups and return it, with moto's server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cloud
import pytest
from ansible_collections.decanter.stack.plugins.modules import balancer_target as target
from run_module import CompletedModule, run_module

pytest.importorskip("boto3", reason="requirements-aws.txt is not installed")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with cloud.account() as address:
        yield address


class Fleet:
    """Target groups of an ALB, and instances in them."""

    def __init__(self, endpoint: str) -> None:
        self.elb, ec2 = cloud.client("elbv2", endpoint), cloud.client("ec2", endpoint)
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"{cloud.REGION}{zone}")
            for n, zone in enumerate("ab")
        ]
        subnets = [subnet["Subnet"]["SubnetId"] for subnet in subnets]
        self.names = [f"group{time.monotonic_ns()}{n}" for n in range(2)]
        self.arns = [self.group(name, vpc) for name in self.names]
        created = self.elb.create_load_balancer(Name=f"lb{time.monotonic_ns()}", Subnets=subnets)
        for port, arn in enumerate(self.arns):
            self.elb.create_listener(
                LoadBalancerArn=created["LoadBalancers"][0]["LoadBalancerArn"],
                Protocol="HTTP", Port=8000 + port,
                DefaultActions=[{"Type": "forward", "TargetGroupArn": arn}],
            )  # fmt: skip
        image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
        created = ec2.run_instances(ImageId=image, MinCount=2, MaxCount=2)["Instances"]
        self.instances = [one["InstanceId"] for one in created]

    def group(self, name: str, vpc: str) -> str:
        created = self.elb.create_target_group(Name=name, Protocol="HTTPS", Port=443, VpcId=vpc)
        return created["TargetGroups"][0]["TargetGroupArn"]

    def register(self, *instances: str) -> None:
        for arn in self.arns:
            self.elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": one} for one in instances])

    def registered(self, number: int = 0) -> set[str]:
        health = self.elb.describe_target_health(TargetGroupArn=self.arns[number])
        return {
            one["Target"]["Id"]
            for one in health["TargetHealthDescriptions"]
            if one["TargetHealth"]["State"] != "draining"
        }


@pytest.fixture
def fleet(endpoint) -> Fleet:
    return Fleet(endpoint)


@pytest.fixture
def move(endpoint, fleet, monkeypatch) -> Callable[..., CompletedModule]:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in cloud.environment(endpoint).items():
        monkeypatch.setenv(name, value)

    def call(instance: str, state: str, check: bool = False, **more: Any) -> CompletedModule:
        arguments = {"name": "web1", "target": instance, "state": state, "groups": fleet.names} | more
        return run_module("balancer_target", check=check, **arguments)

    return call


def test_drain_and_return_are_idempotent(fleet, move):
    first, second = fleet.instances
    fleet.register(first, second)
    check = move(first, "out", check=True)
    assert check.result["changed"] and fleet.registered() == {first, second}, check
    for changed in (True, False):
        done = move(first, "out", drain=3)
        assert (done.code, done.result["changed"], done.result["out"]) == (0, changed, True), done.text
        assert [fleet.registered(n) for n in (0, 1)] == [{second}] * 2
    check = move(first, "in", check=True)
    assert check.result["changed"] and fleet.registered() == {second}, check
    for changed in (True, False):
        done = move(first, "in")
        assert (done.code, done.result["changed"], done.result["out"]) == (0, changed, False), done.text
        assert [fleet.registered(n) for n in (0, 1)] == [{first, second}] * 2


def test_only_target_is_not_drained(fleet, move):
    first, _ = fleet.instances
    fleet.register(first)
    done = move(first, "out")
    assert done.code == 0 and not done.result["changed"] and not done.result["out"], done.text
    assert done.result["because"] == f"no other host is healthy in {', '.join(fleet.names)}"
    assert fleet.registered() == {first}


def test_new_host_is_registered_by_group_arn(fleet, move):
    first, second = fleet.instances
    fleet.register(first)
    assert move(second, "out").result == {"changed": False, "out": True, "draining": []} | {
        key: value for key, value in move(second, "out").result.items() if key == "invocation"
    }
    done = move(second, "in", groups=fleet.arns)
    assert done.result["changed"] and fleet.registered() == {first, second}, done.text


def test_missing_group_is_reported_by_aws(fleet, move):
    done = move(fleet.instances[0], "in", groups=["nowhere"])
    assert done.code == 1 and done.result["msg"].startswith("web1: the request to AWS failed: "), done.text
    assert "TargetGroupNotFound" in done.result["msg"], done.text


# --- A stub for states that moto lacks: draining, unhealthy --------------------------------------


class Elb:
    """A stub of one target group with the given states of its targets."""

    def __init__(self, **targets: dict[str, str]) -> None:
        self.targets, self.calls = targets, []
        self.drains, self.rises = 0, 0  # requests until the state changes

    def describe_target_groups(self, Names: list[str]) -> dict[str, Any]:
        return {"TargetGroups": [{"TargetGroupArn": f"arn:{name}"} for name in Names]}

    def describe_target_health(self, TargetGroupArn: str, Targets: Any = ()) -> dict[str, Any]:
        for one in Targets:
            health = self.targets.setdefault(one["Id"], {"State": "unused", "Reason": "Target.NotRegistered"})
            if health["State"] == "draining":
                self.drains -= 1
                if self.drains < 0:
                    health.update(State="unused", Reason="Target.NotRegistered")
            if health["State"] == "initial":
                self.rises -= 1
                if self.rises < 0:
                    health.clear()
                    health.update(State="healthy")
        names = [one["Id"] for one in Targets] or list(self.targets)
        found = [{"Target": {"Id": name}, "TargetHealth": dict(self.targets[name])} for name in names]
        return {"TargetHealthDescriptions": found}

    def deregister_targets(self, TargetGroupArn: str, Targets: Any) -> None:
        self.calls.append("out")
        for one in Targets:
            self.targets[one["Id"]] = {"State": "draining", "Reason": "Target.DeregistrationInProgress"}

    def register_targets(self, TargetGroupArn: str, Targets: Any) -> None:
        self.calls.append("in")
        for one in Targets:
            self.targets[one["Id"]] = {"State": "initial", "Reason": "Elb.RegistrationInProgress"}


class Failed(Exception):
    pass


class Module:
    check_mode = False

    def __init__(self, **params: Any) -> None:
        self.params = {"name": "web1", "drain": 10, "timeout": 30} | params

    def fail_json(self, msg: str, **_: Any) -> None:
        raise Failed(msg)


@pytest.fixture(autouse=True)
def fake_clock(monkeypatch) -> None:
    """Replace waiting by steps of a clock."""
    clock = {"now": 0.0}
    monkeypatch.setattr(target.time, "monotonic", lambda: clock["now"])
    monkeypatch.setattr(target.time, "sleep", lambda seconds: clock.update(now=clock["now"] + seconds))


def groups(elb: Elb, name: str = "a") -> Any:
    return target.Groups(elb, ["web"], name)


def healthy() -> dict[str, str]:
    return {"State": "healthy"}


def test_drain_waits_for_deregistration():
    elb = Elb(a=healthy(), b=healthy())
    elb.drains = 5
    assert target.take_out(Module(), groups(elb)) == {"changed": True, "out": True, "draining": []}
    assert elb.targets["a"]["Reason"] == "Target.NotRegistered"


def test_drain_ends_after_its_limit():
    elb = Elb(a=healthy(), b=healthy())
    elb.drains = 500
    assert target.take_out(Module(drain=7), groups(elb))["draining"] == ["web"]
    assert 490 < elb.drains < 500, elb.drains


def test_draining_target_is_registered_again():
    elb = Elb(a={"State": "draining"}, b=healthy())
    elb.drains = 500
    assert target.put_in(Module(), groups(elb)) == {"changed": True, "out": False}
    assert elb.calls == ["in"]


@pytest.mark.parametrize(
    "other",
    [
        {"State": "unhealthy"},
        {"State": "draining"},
        {"State": "initial", "Reason": "Elb.InitialHealthChecking"},
    ],
)
def test_drain_requires_another_healthy_target(other):
    elb = Elb(a=healthy(), b=other)
    assert not target.take_out(Module(), groups(elb))["out"] and elb.calls == []


def test_return_waits_for_a_healthy_target():
    elb = Elb(b=healthy())
    elb.rises = 20
    assert target.put_in(Module(), groups(elb)) == {"changed": True, "out": False}
    assert elb.targets["a"] == {"State": "healthy"}


def test_return_of_unhealthy_target_fails_with_reason():
    elb = Elb(
        a={
            "State": "unhealthy",
            "Reason": "Target.ResponseCodeMismatch",
            "Description": "Health checks failed with these codes: [502]",
        }
    )
    with pytest.raises(Failed) as error:
        target.put_in(Module(), groups(elb))
    assert str(error.value) == (
        "web1: not healthy within 30 s. web: Target.ResponseCodeMismatch "
        "Health checks failed with these codes: [502]"
    )


def test_concurrent_drains_keep_one_target():
    elb, results = Elb(a=healthy(), b=healthy()), {}

    def drain(name: str) -> None:
        results[name] = target.take_out(Module(drain=0), groups(elb, name))["out"]

    threads = [threading.Thread(target=drain, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results.values()) == [False, True], results


def test_missing_boto3_is_reported_with_remedy(tmp_path):
    (tmp_path / "boto3.py").write_text("raise ImportError")
    given = {"name": "web1", "target": "i-1", "state": "in", "groups": ["web"]}
    done = subprocess.run(
        [sys.executable, Path(target.__file__)],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": given}),
        capture_output=True, text=True, timeout=60,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 1 and "bin/setup aws" in json.loads(done.stdout)["msg"], (
        done.stdout + done.stderr
    )
