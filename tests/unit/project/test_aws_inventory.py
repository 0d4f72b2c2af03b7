"""Hosts that AWS is asked for, as an operator's run sees them; and that an answer without hosts is none."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cloud
import pytest
import yaml
from ansible_collections.decanter.stack.plugins.plugin_utils.inventory_validation.topology import (
    CLOUD_HOST,
    cloud_errors,
)
from repository import ROOT

SITES = {
    "plain": {
        "server_names": ["plain.test"],
        "source": {"path": str(ROOT / "app")},
        "wsgi": "harbour:create_app()",
    }
}
# What an account has: the environment, the role, and for a name that several have, how many.
INSTANCES = [
    *(("staging", "web", "staging-web", 2), ("staging", "balancer", "staging-balancer", 1)),
    *(("production", "web", "production-web", 1), ("production", "database", "production-db", 1)),
]


@pytest.fixture(scope="module")
def endpoint():
    with cloud.account() as address:
        ec2 = cloud.client("ec2", address)
        image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
        for environment, role, name, count in INSTANCES:
            tags = {"Name": name, "Environment": environment, "Role": role, "Project": "decanter"}
            start(ec2, image, count, tags)
        # Somebody else's, in the same account; and one that is gone.
        start(ec2, image, 1, {"Name": "x", "Environment": "staging", "Role": "web", "Project": "other"})
        tags = {"Name": "gone", "Environment": "staging", "Role": "web", "Project": "decanter"}
        ec2.terminate_instances(InstanceIds=start(ec2, image, 1, tags))
        yield address


def start(ec2: Any, image: str, count: int, tags: dict[str, str]) -> list[str]:
    pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
    made = ec2.run_instances(
        ImageId=image,
        MinCount=count,
        MaxCount=count,
        TagSpecifications=[{"ResourceType": "instance", "Tags": pairs}],
    )
    return [instance["InstanceId"] for instance in made["Instances"]]


@pytest.fixture
def inventories(tmp_path) -> Path:
    """Those that are shipped, with the hosts of AWS and no others."""
    for name in ("staging", "production"):
        folder = tmp_path / name
        (folder / "group_vars/all").mkdir(parents=True)
        shutil.copy(ROOT / f"inventories/{name}/aws_ec2.yml.example", folder / "aws_ec2.yml")
        (folder / "hosts.yml").write_text("all:\n  children:\n    web:\n    database:\n    balancer:\n")
        (folder / "group_vars/all/sites.yml").write_text(yaml.safe_dump({"sites": SITES}))
    return tmp_path


def run(program: str, endpoint: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name(program)), *arguments]
    told = cloud.environment(endpoint) | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    return subprocess.run(command, cwd=ROOT, env=told, capture_output=True, text=True, timeout=300)


def listed(endpoint: str, inventory: Path) -> dict[str, Any]:
    finished = run("ansible-inventory", endpoint, "-i", str(inventory), "--list")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    # What comes of a cloud is said to be no template.
    return json.loads(finished.stdout, object_hook=lambda node: node.get("__ansible_unsafe", node))


def names(found: dict[str, Any], group: str) -> list[str]:
    return sorted(name.rsplit("-i-", 1)[0] for name in found.get(group, {}).get("hosts", []))


def test_two_environments_side_by_side(endpoint, inventories):
    staging, production = (listed(endpoint, inventories / name) for name in ("staging", "production"))
    expected = {
        "web": ["staging-web"] * 2,
        "balancer": ["staging-balancer"],
        "database": ["staging-web"] * 2,
        "staging": ["staging-balancer", *["staging-web"] * 2],
        "production": [],
    }
    got = {group: names(staging, group) for group in expected}
    assert got == expected, f"expected {expected}, got {got}"
    expected = {
        "web": ["production-web"],
        "balancer": [],
        "database": ["production-db", "production-web"],
        "staging": [],
    }
    got = {group: names(production, group) for group in expected}
    assert got == expected, f"expected {expected}, got {got}"


def test_where_a_host_is_reached(endpoint, inventories):
    found = listed(endpoint, inventories / "staging")
    for name, variables in found["_meta"]["hostvars"].items():
        assert name.endswith(variables["ec2_instance_id"]), f"expected {name} to end with its instance's id"
        assert variables["ansible_host"] == variables["ec2_public_ip_address"], variables["ansible_host"]
        assert variables["balancer_address"] == variables["ec2_private_ip_address"]
        strays = [key for key in variables if key.startswith(("instance", "tags", "public", "private"))]
        assert not strays, f"expected what comes of AWS to begin with ec2_, got {strays}"


def test_static_hosts_stay_beside_them(endpoint, inventories):
    (inventories / "staging/hosts.yml").write_text(
        "all: {children: {web: {hosts: {old1: {ansible_host: 10.9.9.9}}}}}\n"
    )
    found = listed(endpoint, inventories / "staging")
    assert names(found, "web") == ["old1", "staging-web", "staging-web"], names(found, "web")


def checked(endpoint: str, inventory: Path) -> subprocess.CompletedProcess[str]:
    return run("ansible-playbook", endpoint, "-i", str(inventory), str(ROOT / "playbooks/check.yml"))


def test_a_check_asks_no_host_and_is_content(endpoint, inventories):
    (inventories / "production/group_vars/all/alone.yml").write_text("web_hosts_independent: true\n")
    finished = checked(endpoint, inventories / "production")
    assert finished.returncode == 0, finished.stdout + finished.stderr


@pytest.mark.parametrize("static", [False, True], ids=["alone", "beside static hosts"])
def test_an_answer_without_hosts_is_refused(endpoint, inventories, static):
    path = inventories / "staging/aws_ec2.yml"
    path.write_text(path.read_text().replace("tag:Project: decanter", "tag:Project: nobody"))
    if static:
        (inventories / "staging/hosts.yml").write_text(
            "all: {children: {web: {hosts: {old1: {ansible_host: 10.9.9.9}}}}}\n"
        )
    finished = checked(endpoint, inventories / "staging")
    expected = f"{path}: found no instance, expected at least one"
    assert finished.returncode != 0 and expected in finished.stdout, finished.stdout + finished.stderr
    line = "groups.web: found no host, expected at least one to serve the sites"
    assert (line in finished.stdout) != static, finished.stdout


@pytest.mark.parametrize("playbook", ["verify", "rollback"])
def test_no_playbook_calls_it_success(endpoint, inventories, playbook):
    path = inventories / "staging/aws_ec2.yml"
    path.write_text(path.read_text().replace("tag:Project: decanter", "tag:Project: nobody"))
    arguments = ("-i", str(inventories / "staging"), str(ROOT / f"playbooks/{playbook}.yml"))
    finished = run("ansible-playbook", endpoint, *arguments)
    assert finished.returncode != 0, f"expected a failure, got {finished.stdout}"


def test_who_does_not_answer_stops_the_run(inventories):
    cloud.needed("boto3")
    finished = checked(f"http://127.0.0.1:{cloud.free_port()}", inventories / "staging")
    assert finished.returncode != 0, f"expected a failure, got {finished.stdout}"
    assert "aws_ec2.yml" in finished.stderr, finished.stderr


def test_an_instance_of_no_role_is_an_error(endpoint, inventories):
    ec2 = cloud.client("ec2", endpoint)
    found = ec2.describe_instances(Filters=[{"Name": "tag:Name", "Values": ["staging-balancer"]}])
    identifier = found["Reservations"][0]["Instances"][0]["InstanceId"]
    ec2.delete_tags(Resources=[identifier], Tags=[{"Key": "Role"}])
    try:
        finished = checked(endpoint, inventories / "staging")
    finally:
        ec2.create_tags(Resources=[identifier], Tags=[{"Key": "Role", "Value": "balancer"}])
    assert finished.returncode != 0, f"expected a failure, got {finished.stdout}"
    assert "Role" in finished.stderr, finished.stderr


def test_what_is_shipped_asks_nobody(inventories):
    """An account that was never used is not asked, nor what would ask it needed."""
    for path in inventories.glob("*/aws_ec2.yml"):
        path.rename(path.with_suffix(".yml.example"))
    finished = run("ansible-inventory", "http://127.0.0.1:9", "-i", str(inventories / "staging"), "--list")
    assert finished.returncode == 0, finished.stderr
    assert "aws" not in finished.stdout, finished.stdout


def test_where_hosts_of_a_cloud_are_looked_for(tmp_path):
    file = tmp_path / "staging.aws_ec2.yaml"
    file.write_text("")
    for sources in ([str(tmp_path)], [str(file)], ["a,", str(file)]):
        got = list(cloud_errors({"a": {}}, ["a"], sources))
        assert len(got) == 1 and got[0].startswith(f"{file}: found no instance, expected"), got
        assert list(cloud_errors({"a": {CLOUD_HOST: "i-1"}}, ["a"], sources)) == []
    for sources in ([], ["a,"], [str(tmp_path / "hosts.yml")], [str(ROOT / "inventories/staging")]):
        assert list(cloud_errors({"a": {}}, ["a"], sources)) == [], sources


# --- Hosts without a public address -------------------------------------------------------------


def offered(environment: str) -> list[str]:
    """What inventories/ENV/group_vars/all/ssh.yml has, with the comments taken off, one way at a time."""
    text = (ROOT / f"inventories/{environment}/group_vars/all/ssh.yml").read_text()
    ways, taken = [], []
    for line in [*text.splitlines(), ""]:
        if taken and line.startswith("#   "):
            taken.append(line.removeprefix("# "))
        else:
            if taken:
                ways.append(yaml.safe_load("\n".join(taken))["ansible_ssh_common_args"])
            taken = [line.removeprefix("# ")] if line.startswith("# ansible_ssh_common_args:") else []
    return ways


@pytest.mark.skipif(not shutil.which("ssh"), reason="ssh is not installed here")
@pytest.mark.parametrize("environment", ["staging", "production"])
def test_ssh_understands_what_is_offered(environment):
    bastion, manager = (shlex.split(way) for way in offered(environment))
    said = subprocess.run(
        ["ssh", "-G", *bastion, "10.1.2.3"], capture_output=True, text=True, check=True
    ).stdout
    assert "proxyjump admin@REPLACE_ME" in said, said
    said = subprocess.run(
        ["ssh", "-G", *manager, "-p", "2222", "i-0abc"], capture_output=True, text=True, check=True
    )
    expected = "proxycommand aws ssm start-session --region eu-west-1 --target %h"
    assert expected in said.stdout and "stricthostkeychecking accept-new" in said.stdout, said.stdout
