"""A new instance of the Auto Scaling group replaces a killed web host."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import boto3
import pytest
import yaml
from alb_client import HarbourLoad, wait_until
from conftest import PODMAN, assert_succeeded

BOOTSTRAP_TIMEOUT = 480  # seconds from the boot to the first response
UPDATE_TIMEOUT = 180  # seconds from the end of a deploy to its release on a host outside the inventory


@pytest.fixture(scope="module")
def limited_client(new_client):
    """A client that has reached the limit of the contact form."""
    client = new_client()
    token = client.csrf_token("/contact")
    for _ in range(10):
        client.request("/contact", [("csrf_token", token)])
    return client


def test_killed_host_gets_no_requests(balancer, kill_host, listing, limited_client, moderator):
    with balancer.polling(), HarbourLoad(balancer=balancer, paths=("/", listing.path)) as load:
        kill_host("web1")
        killed = time.time()
        wait_until(lambda: balancer.healthy == ["web2"], 30)
        unhealthy = time.time() + 0.5
        time.sleep(5)
    late = [one for one in load.lost if one.sent > unhealthy]
    assert not late, f"expected no lost request after web1 was unhealthy, got {late[:5]}"
    early = [one for one in load.lost if one.sent < killed - 1]
    assert not early, f"expected no lost request before the kill, got {early[:5]}"
    took = unhealthy - killed
    print(f"\nrequests lost in the {took:.1f} s until web1 was unhealthy: {len(load.lost)}", end="")


@pytest.fixture(scope="module")
def replacement(balancer, kill_host, lab, resources, run_on, listing, limited_client) -> dict[str, float]:
    """Boot an instance and run its user data. Return the seconds that the steps took."""
    container = f"{lab['lab_prefix']}web3"
    scaling = boto3.client("autoscaling")
    scaling.attach_instances(AutoScalingGroupName="cloud-web", InstanceIds=[resources["instances"]["web3"]])
    script = (Path(lab["lab_directory"]) / "user_data.sh").read_text()
    with balancer.polling(), HarbourLoad(balancer=balancer, paths=("/", listing.path), rate=4.0) as load:
        boot = time.time()
        subprocess.run([PODMAN, "restart", container], check=True, capture_output=True)
        # As cloud-init does: as root, at the end of the boot.
        state = ("web3", "systemctl", "is-system-running")
        wait_until(lambda: run_on(*state, check=False) in ("running", "degraded"), 60)
        process = subprocess.run(
            [PODMAN, "exec", "--interactive", container, "bash"],
            input=script, capture_output=True, text=True, timeout=BOOTSTRAP_TIMEOUT,
        )  # fmt: skip
        assert process.returncode == 0, process.stdout[-6000:] + process.stderr[-2000:]
        end = time.time()
        wait_until(lambda: load.first_response("web3"), 30)
    assert not load.lost, f"expected no lost request of {len(load.results)}, got {load.lost[:5]}"
    return {"user_data": end - boot, "first_response": load.first_response("web3") - boot}


def test_replacement_bootstraps_as_web_host(replacement, resources, live, run_on):
    took = replacement["first_response"]
    print(f"\nfrom the boot of a new instance to its first response: {took:.0f} s", end="")
    assert took < BOOTSTRAP_TIMEOUT, f"expected less than {BOOTSTRAP_TIMEOUT} s, got {replacement}"
    described = boto3.client("autoscaling").describe_auto_scaling_instances(
        InstanceIds=[resources["instances"]["web3"]]
    )
    state = described["AutoScalingInstances"][0]["LifecycleState"]
    assert state == "InService", f"expected a completed lifecycle hook (InService), got {state}"
    assert live("web3") == live("web2"), f"expected {live('web2')}, got {live('web3')}"
    log = run_on("web3", "cat", "/var/log/decanter-fleet.log")
    assert "This host serves the live releases" in log, f"expected success in the log, got {log[-3000:]}"


def test_replacement_serves_existing_data(replacement, listing, new_client, moderator, limited_client):
    client = new_client()
    page = client.request(listing.path, host="web3")
    assert page.status == 200 and listing.title in page.text, f"got {page.status}: {page.text[:500]}"
    got = {photo: client.request(photo, host="web3").status for photo in listing.photos}
    assert set(got.values()) == {200}, f"expected 200 for each photo, got {got}"
    page = moderator.request("/admin/", host="web3")
    assert page.status == 200, f"expected the moderator's session to be valid, got {page.status}"
    response = limited_client.submit("/contact", [], "web3")
    assert response.status == 429, f"expected 429 from the exhausted limit, got {response.status}"


def test_replacement_runs_no_migration(replacement, run_on):
    # Before a pending migration, the host writes a dump.
    dumps = run_on("web3", "find", "/srv/harbour/releases", "-name", "*.sql.gz")
    assert dumps == "", f"expected no migration, got {dumps}"


def test_deploy_reaches_replacement_outside_inventory(replacement, inventory, tmp_path, deploy, live):
    other_inventory = tmp_path / "inventory"
    shutil.copytree(inventory, other_inventory)
    hosts = yaml.safe_load((other_inventory / "hosts.yml").read_text())
    # web1 was killed.
    del hosts["all"]["hosts"]["web1"]
    for group in hosts["all"]["children"].values():
        group["hosts"].pop("web1", None)
    (other_inventory / "hosts.yml").write_text(yaml.safe_dump(hosts, sort_keys=False))
    before = live("web3")
    assert_succeeded(deploy(str(other_inventory)))
    assert live("web2") != before, f"expected a new release on web2, got {live('web2')}"
    took = wait_until(lambda: live("web3") == live("web2"), UPDATE_TIMEOUT)
    print(f"\nfrom the end of a deploy to its release on a host outside the inventory: {took:.0f} s", end="")
