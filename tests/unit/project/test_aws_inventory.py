"""Inventories with hosts from AWS, against a stub of EC2. A response without hosts fails a run."""

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
# The instances of the account: environment, role, name and count.
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
        # An instance of another project in the same account, and a terminated one.
        start(ec2, image, 1, {"Name": "x", "Environment": "staging", "Role": "web", "Project": "other"})
        tags = {"Name": "gone", "Environment": "staging", "Role": "web", "Project": "decanter"}
        ec2.terminate_instances(InstanceIds=start(ec2, image, 1, tags))
        yield address


def start(ec2: Any, image: str, count: int, tags: dict[str, str]) -> list[str]:
    pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
    response = ec2.run_instances(
        ImageId=image,
        MinCount=count,
        MaxCount=count,
        TagSpecifications=[{"ResourceType": "instance", "Tags": pairs}],
    )
    return [instance["InstanceId"] for instance in response["Instances"]]


@pytest.fixture
def inventories(tmp_path) -> Path:
    """Return a copy of the shipped inventories, with hosts from AWS only."""
    for name in ("staging", "production"):
        folder = tmp_path / name
        (folder / "group_vars/all").mkdir(parents=True)
        shutil.copy(ROOT / f"inventories/{name}/aws_ec2.yml.example", folder / "aws_ec2.yml")
        (folder / "hosts.yml").write_text("all:\n  children:\n    web:\n    database:\n    balancer:\n")
        (folder / "group_vars/all/sites.yml").write_text(yaml.safe_dump({"sites": SITES}))
    return tmp_path


def run(program: str, endpoint: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name(program)), *arguments]
    environment = cloud.environment(endpoint) | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)


def list_inventory(endpoint: str, inventory: Path) -> dict[str, Any]:
    finished = run("ansible-inventory", endpoint, "-i", str(inventory), "--list")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    # Ansible marks values of the inventory plugin as unsafe, so that it does not template them.
    return json.loads(finished.stdout, object_hook=lambda node: node.get("__ansible_unsafe", node))


def names(found: dict[str, Any], group: str) -> list[str]:
    return sorted(name.rsplit("-i-", 1)[0] for name in found.get(group, {}).get("hosts", []))


def test_environments_have_only_their_own_instances(endpoint, inventories):
    staging, production = (list_inventory(endpoint, inventories / name) for name in ("staging", "production"))
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


def test_host_has_the_addresses_of_its_instance(endpoint, inventories):
    found = list_inventory(endpoint, inventories / "staging")
    for name, variables in found["_meta"]["hostvars"].items():
        assert name.endswith(variables["ec2_instance_id"]), f"expected {name} to end with its instance's id"
        assert variables["ansible_host"] == variables["ec2_public_ip_address"], variables["ansible_host"]
        assert variables["balancer_address"] == variables["ec2_private_ip_address"]
        strays = [key for key in variables if key.startswith(("instance", "tags", "public", "private"))]
        assert not strays, f"expected variables of AWS to start with ec2_, got {strays}"


def test_static_hosts_are_kept_with_instances(endpoint, inventories):
    (inventories / "staging/hosts.yml").write_text(
        "all: {children: {web: {hosts: {old1: {ansible_host: 10.9.9.9}}}}}\n"
    )
    found = list_inventory(endpoint, inventories / "staging")
    assert names(found, "web") == ["old1", "staging-web", "staging-web"], names(found, "web")


def check(endpoint: str, inventory: Path) -> subprocess.CompletedProcess[str]:
    return run("ansible-playbook", endpoint, "-i", str(inventory), str(ROOT / "playbooks/check.yml"))


def test_check_succeeds_without_a_connection_to_hosts(endpoint, inventories):
    (inventories / "production/group_vars/all/alone.yml").write_text("web_hosts_independent: true\n")
    finished = check(endpoint, inventories / "production")
    assert finished.returncode == 0, finished.stdout + finished.stderr


@pytest.mark.parametrize("static", [False, True], ids=["without static hosts", "with static hosts"])
def test_response_without_instances_fails_the_check(endpoint, inventories, static):
    path = inventories / "staging/aws_ec2.yml"
    path.write_text(path.read_text().replace("tag:Project: decanter", "tag:Project: unused"))
    if static:
        (inventories / "staging/hosts.yml").write_text(
            "all: {children: {web: {hosts: {old1: {ansible_host: 10.9.9.9}}}}}\n"
        )
    finished = check(endpoint, inventories / "staging")
    expected = f"{path}: found no instance, expected at least one"
    assert finished.returncode != 0 and expected in finished.stdout, finished.stdout + finished.stderr
    line = "groups.web: found no host, expected at least one to serve the sites"
    assert (line in finished.stdout) != static, finished.stdout


@pytest.mark.parametrize("playbook", ["verify", "rollback"])
def test_response_without_instances_fails_other_playbooks(endpoint, inventories, playbook):
    path = inventories / "staging/aws_ec2.yml"
    path.write_text(path.read_text().replace("tag:Project: decanter", "tag:Project: unused"))
    arguments = ("-i", str(inventories / "staging"), str(ROOT / f"playbooks/{playbook}.yml"))
    finished = run("ansible-playbook", endpoint, *arguments)
    assert finished.returncode != 0, f"expected a failure, got {finished.stdout}"


def test_unreachable_api_fails_the_check(inventories):
    cloud.needed("boto3")
    finished = check(f"http://127.0.0.1:{cloud.free_port()}", inventories / "staging")
    assert finished.returncode != 0, f"expected a failure, got {finished.stdout}"
    assert "aws_ec2.yml" in finished.stderr, finished.stderr


def test_instance_without_the_tag_role_fails_the_check(endpoint, inventories):
    ec2 = cloud.client("ec2", endpoint)
    found = ec2.describe_instances(Filters=[{"Name": "tag:Name", "Values": ["staging-balancer"]}])
    identifier = found["Reservations"][0]["Instances"][0]["InstanceId"]
    ec2.delete_tags(Resources=[identifier], Tags=[{"Key": "Role"}])
    try:
        finished = check(endpoint, inventories / "staging")
    finally:
        ec2.create_tags(Resources=[identifier], Tags=[{"Key": "Role", "Value": "balancer"}])
    assert finished.returncode != 0, f"expected a failure, got {finished.stdout}"
    assert "Role" in finished.stderr, finished.stderr


def test_shipped_inventory_sends_no_request_to_aws(inventories):
    """Without aws_ec2.yml, neither an account nor the plugin's packages are needed."""
    for path in inventories.glob("*/aws_ec2.yml"):
        path.rename(path.with_suffix(".yml.example"))
    finished = run("ansible-inventory", "http://127.0.0.1:9", "-i", str(inventories / "staging"), "--list")
    assert finished.returncode == 0, finished.stderr
    assert "aws" not in finished.stdout, finished.stdout


def test_inventory_files_of_aws_require_an_instance(tmp_path):
    file = tmp_path / "staging.aws_ec2.yaml"
    file.write_text("")
    for sources in ([str(tmp_path)], [str(file)], ["a,", str(file)]):
        got = list(cloud_errors({"a": {}}, ["a"], sources))
        assert len(got) == 1 and got[0].startswith(f"{file}: found no instance, expected"), got
        assert list(cloud_errors({"a": {CLOUD_HOST: "i-1"}}, ["a"], sources)) == []
    for sources in ([], ["a,"], [str(tmp_path / "hosts.yml")], [str(ROOT / "inventories/staging")]):
        assert list(cloud_errors({"a": {}}, ["a"], sources)) == [], sources


# --- Hosts without a public address -------------------------------------------------------------


def commented_examples(environment: str) -> list[str]:
    """Return each commented example of ssh arguments in inventories/ENV/group_vars/all/ssh.yml."""
    text = (ROOT / f"inventories/{environment}/group_vars/all/ssh.yml").read_text()
    examples, lines = [], []
    for line in [*text.splitlines(), ""]:
        if lines and line.startswith("#   "):
            lines.append(line.removeprefix("# "))
        else:
            if lines:
                examples.append(yaml.safe_load("\n".join(lines))["ansible_ssh_common_args"])
            lines = [line.removeprefix("# ")] if line.startswith("# ansible_ssh_common_args:") else []
    return examples


@pytest.mark.skipif(not shutil.which("ssh"), reason="ssh is not installed")
@pytest.mark.parametrize("environment", ["staging", "production"])
def test_ssh_accepts_the_commented_examples(environment):
    bastion, manager = (shlex.split(example) for example in commented_examples(environment))
    output = subprocess.run(
        ["ssh", "-G", *bastion, "10.1.2.3"], capture_output=True, text=True, check=True
    ).stdout
    assert "proxyjump admin@REPLACE_ME" in output, output
    finished = subprocess.run(
        ["ssh", "-G", *manager, "-p", "2222", "i-0abc"], capture_output=True, text=True, check=True
    )
    expected = "proxycommand aws ssm start-session --region eu-west-1 --target %h"
    assert expected in finished.stdout and "stricthostkeychecking accept-new" in finished.stdout, (
        finished.stdout
    )
