"""A new instance of the Auto Scaling group replaces a web host that was lost."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import boto3
import pytest
import yaml
from alb_client import Visits, until
from conftest import PODMAN, succeeded

# Seconds, generously: from its boot until it serves; and until it has what was deployed meanwhile.
SERVES, FOLLOWS = 480, 180


@pytest.fixture(scope="module")
def counted(somebody):
    """A visitor who has used up a limit before."""
    one = somebody()
    key = one.key("/contact")
    for _ in range(10):
        one.ask("/contact", [("csrf_token", key)])
    return one


def test_a_host_that_is_lost_gets_no_visitors(balancer, lost, home, counted, moderator):
    with balancer.followed(), Visits(balancer=balancer, paths=("/", home.path)) as visits:
        lost("web1")
        killed = time.time()
        until(lambda: balancer.healthy == ["web2"], 30)
        noticed = time.time() + 0.5
        time.sleep(5)
    late = [one for one in visits.lost if one.asked > noticed]
    assert not late, f"expected none to be lost once the target group knows, got {late[:5]}"
    early = [one for one in visits.lost if one.asked < killed - 1]
    assert not early, f"expected none to be lost before, got {early[:5]}"
    print(f"\nlost in the {noticed - killed:.1f} s until it was known: {len(visits.lost)}", end="")


@pytest.fixture(scope="module")
def joined(balancer, lost, lab, made, inside, home, counted) -> dict[str, float]:
    """An instance boots and runs its user data, and nobody does anything else; seconds of its way."""
    container = f"{lab['lab_prefix']}web3"
    scaling = boto3.client("autoscaling")
    scaling.attach_instances(AutoScalingGroupName="cloud-web", InstanceIds=[made["instances"]["web3"]])
    script = (Path(lab["lab_directory"]) / "user_data.sh").read_text()
    with balancer.followed(), Visits(balancer=balancer, paths=("/", home.path), rate=4.0) as visits:
        booted = time.time()
        subprocess.run([PODMAN, "restart", container], check=True, capture_output=True)
        # As cloud-init does: as root, in the end of a boot.
        state = ("web3", "systemctl", "is-system-running")
        until(lambda: inside(*state, checked=False) in ("running", "degraded"), 60)
        done = subprocess.run(
            [PODMAN, "exec", "--interactive", container, "bash"],
            input=script, capture_output=True, text=True, timeout=SERVES,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        ran = time.time()
        until(lambda: visits.first("web3"), 30)
    assert not visits.lost, f"expected none of {len(visits.answers)} to be lost, got {visits.lost[:5]}"
    return {"ran": ran - booted, "served": visits.first("web3") - booted}


def test_it_makes_itself_a_web_host(joined, made, live, inside):
    print(f"\nfrom its boot to its first served request: {joined['served']:.0f} s", end="")
    assert joined["served"] < SERVES, f"expected less than {SERVES} s, got {joined}"
    told = boto3.client("autoscaling").describe_auto_scaling_instances(
        InstanceIds=[made["instances"]["web3"]]
    )
    state = told["AutoScalingInstances"][0]["LifecycleState"]
    assert state == "InService", f"expected the group to have been told, got {state}"
    assert live("web3") == live("web2"), f"expected {live('web2')}, got {live('web3')}"
    log = inside("web3", "cat", "/var/log/decanter-fleet.log")
    assert "This host serves the live releases" in log, f"expected its log to say so, got {log[-3000:]}"


def test_it_serves_what_the_one_before_did(joined, home, somebody, moderator, counted):
    one = somebody()
    page = one.ask(home.path, host="web3")
    assert page.status == 200 and home.title in page.text, f"got {page.status}: {page.text[:500]}"
    got = {photo: one.ask(photo, host="web3").status for photo in home.photos}
    assert set(got.values()) == {200}, f"expected its photos, got {got}"
    inside = moderator.ask("/admin/", host="web3")
    assert inside.status == 200, f"expected the moderator to be logged in, got {inside.status}"
    refused = counted.send("/contact", [], "web3")
    assert refused.status == 429, f"expected the limit to be used up, got {refused.status}"


def test_it_migrated_nothing(joined, inside):
    # Before a migration, the host that runs it dumps.
    dumps = inside("web3", "find", "/srv/harbour/releases", "-name", "*.sql.gz")
    assert dumps == "", f"expected no migration, got {dumps}"


def test_a_deploy_that_does_not_know_it_reaches_it(joined, inventory, tmp_path, deploy, live):
    others = tmp_path / "inventory"
    shutil.copytree(inventory, others)
    hosts = yaml.safe_load((others / "hosts.yml").read_text())
    # The one that was lost.
    del hosts["all"]["hosts"]["web1"]
    for group in hosts["all"]["children"].values():
        group["hosts"].pop("web1", None)
    (others / "hosts.yml").write_text(yaml.safe_dump(hosts, sort_keys=False))
    before = live("web3")
    succeeded(deploy(str(others)))
    assert live("web2") != before, f"expected a new release on web2, got {live('web2')}"
    took = until(lambda: live("web3") == live("web2"), FOLLOWS)
    print(f"\nfrom the end of a deploy to its release on a host that it did not know: {took:.0f} s", end="")
