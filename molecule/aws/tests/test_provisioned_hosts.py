"""The hosts of a provisioned environment."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import yaml
from cloud import ROOT, ZONE, Cloud
from environment import SINGLE, SIZES, assert_equal, assert_web_host, only_with, records, tag_filters

# Inventory files that list the hosts of an environment in AWS.
EXAMPLES = sorted(ROOT.glob("inventories/*/aws_ec2.yml.example"))


@pytest.mark.parametrize("size", SIZES)
def test_newest_image_is_pinned(cloud, size):
    pinned = yaml.safe_load((cloud.inventory(size) / "group_vars/all/aws_image.yml").read_text())
    assert_equal("image", pinned, {"aws_image": "ami-00000002"})


@pytest.mark.parametrize("size", SIZES)
def test_provision_writes_the_variables_of_other_roles(cloud, size):
    text = (cloud.inventory(size) / "group_vars/all/aws_made.yml").read_text()
    written = yaml.safe_load(text)
    bucket = f"decanter-{size}-123456789012"
    assert_equal("bucket", written["aws_made"]["bucket"], bucket)
    assert_equal(
        "logs",
        (written["cloudwatch_log_group"], written["cloudwatch_namespace"]),
        (f"/decanter/{size}", f"Decanter/{size}"),
    )
    assert_equal("mysql_host is defined", "mysql_host" in written, size != "small")
    assert_equal("balancer_kind", written.get("balancer_kind"), "alb" if size == "scaled" else None)
    assert_equal("fleet_bucket", written.get("fleet_bucket"), bucket if size == "scaled" else None)
    if size == "scaled":
        subnets = cloud.client("ec2").describe_subnets(Filters=tag_filters(cloud, size))["Subnets"]
        public = sorted(each["CidrBlock"] for each in subnets if each["MapPublicIpOnLaunch"])
        assert_equal("balancer_networks", sorted(written["balancer_networks"]), public)
    if size == "small":
        return
    response = cloud.client("ssm").get_parameter(
        Name=f"/decanter/{size}/database/password", WithDecryption=True
    )
    password = response["Parameter"]["Value"]
    assert len(password) == 40 and password not in text, (
        f"expected a password of 40 characters that is not in aws_made.yml, got {len(password)}"
    )
    command = [
        "-i",
        "localhost,",
        "-m",
        "ansible.builtin.debug",
        "-a",
        "var=mysql_admin_password",
        "localhost",
    ]
    folder = cloud.inventory(size)
    output = cloud.ansible("ansible", *command, "-e", f"@{folder}/group_vars/all/aws_made.yml")
    assert password in output, f"expected the password of the parameter store, got {output}"


@pytest.mark.parametrize("size", SINGLE)
def test_single_web_host_matches_the_settings(cloud, size):
    assert_web_host(cloud, size)


@only_with("scaled")
def test_scaled_environment_matches_the_settings(cloud):
    scaling = cloud.client("autoscaling")
    (found,) = scaling.describe_auto_scaling_groups()["AutoScalingGroups"]
    assert_equal(
        "sizes of the group", (found["MinSize"], found["MaxSize"], len(found["Instances"])), (2, 4, 2)
    )
    assert_equal("number of zones", len(found["AvailabilityZones"]), 2)
    versions = cloud.client("ec2").describe_launch_template_versions(LaunchTemplateName="decanter-scaled-web")
    data = max(versions["LaunchTemplateVersions"], key=lambda each: each["VersionNumber"])[
        "LaunchTemplateData"
    ]
    options = data["MetadataOptions"]
    assert_equal("IMDSv2", (options["HttpTokens"], options["HttpPutResponseHopLimit"]), ("required", 1))
    assert_equal("disks", [each["Ebs"]["Encrypted"] for each in data["BlockDeviceMappings"]], [True])
    balancing = cloud.client("elbv2")
    (balancer,) = balancing.describe_load_balancers()["LoadBalancers"]
    arn = balancer["LoadBalancerArn"]
    listeners = {
        each["Port"]: each for each in balancing.describe_listeners(LoadBalancerArn=arn)["Listeners"]
    }
    assert_equal("HTTP", listeners[80]["DefaultActions"][0]["Type"], "redirect")
    assert_equal("HTTPS", listeners[443]["DefaultActions"][0]["Type"], "forward")
    (firewall,) = cloud.client("wafv2").list_web_acls(Scope="REGIONAL")["WebACLs"]
    protected = cloud.client("wafv2").list_resources_for_web_acl(WebACLArn=firewall["ARN"])["ResourceArns"]
    assert_equal("load balancer of the firewall", protected, [arn])
    assert_equal("records", records(cloud, "scaled"), {f"scaled.{ZONE}.", f"www.scaled.{ZONE}."})
    (targets,) = balancing.describe_target_groups()["TargetGroups"]
    health_check = [targets[f"HealthCheck{key}"] for key in ("Protocol", "Path", "IntervalSeconds")]
    assert_equal("health check of the target group", health_check, ["HTTPS", "/.decanter/health/harbour", 5])
    assert_equal("port of the hosts", (targets["Protocol"], targets["Port"]), ("HTTPS", 443))
    assert_equal("health check of the Auto Scaling group", found["HealthCheckType"], "EC2")
    assert_equal(
        "lifecycle hooks before the first deploy",
        (lifecycle_hooks(cloud), bootstrap_settings(data)["hook"]),
        ([], ""),
    )
    (redis,) = cloud.client("elasticache").describe_replication_groups()["ReplicationGroups"]
    assert_equal(
        "encryption of Redis",
        (redis["AtRestEncryptionEnabled"], redis["TransitEncryptionEnabled"]),
        (True, True),
    )
    assert_equal("nodes of Redis", len(redis["MemberClusters"]), 2)


def lifecycle_hooks(cloud: Cloud) -> list[tuple[Any, ...]]:
    scaling = cloud.client("autoscaling")
    found = scaling.describe_lifecycle_hooks(AutoScalingGroupName="decanter-scaled-web")["LifecycleHooks"]
    keys = ("LifecycleHookName", "LifecycleTransition", "DefaultResult", "HeartbeatTimeout")
    return [tuple(each[key] for key in keys) for each in found]


def bootstrap_settings(data: dict[str, Any]) -> dict[str, Any]:
    """Return the settings in the user data of a launch template."""
    script = base64.b64decode(data["UserData"]).decode()
    return json.loads(script.split("<<'JSON'\n")[1].split("\nJSON\n")[0])


@only_with("scaled")
def test_new_hosts_bootstrap_after_the_first_publication(cloud):
    """The same run repairs the bucket policy and the firewall."""
    s3, bucket = cloud.client("s3"), "decanter-scaled-123456789012"
    # The policy denies requests without TLS, and the stub has no TLS.
    s3.delete_bucket_policy(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="decanter/live.json", Body=b"{}")
    password = {"Name": "/decanter/scaled/vault/password", "Type": "SecureString", "Value": "a"}
    cloud.client("ssm").put_parameter(**password, KeyId="alias/decanter-scaled")
    arn = cloud.client("elbv2").describe_load_balancers()["LoadBalancers"][0]["LoadBalancerArn"]
    cloud.client("wafv2").disassociate_web_acl(ResourceArn=arn)
    run = cloud.begin("provision", "scaled").wait().assert_success("published, repaired")
    assert_equal("changed tasks", run.count("changed"), 4)
    hook = ("decanter-scaled-serves", "autoscaling:EC2_INSTANCE_LAUNCHING", "ABANDON", 1800)
    assert_equal("lifecycle hooks", lifecycle_hooks(cloud), [hook])
    versions = cloud.client("ec2").describe_launch_template_versions(
        LaunchTemplateName="decanter-scaled-web", Versions=["$Latest"]
    )
    expected = {
        "bucket": bucket,
        "prefix": "decanter",
        "region": "eu-west-1",
        "hook": hook[0],
        "vault_parameter": password["Name"],
    }
    assert_equal(
        "settings of a new host",
        bootstrap_settings(versions["LaunchTemplateVersions"][0]["LaunchTemplateData"]),
        expected,
    )
    run = cloud.begin("provision", "scaled").wait().assert_success("unchanged")
    assert_equal("changed tasks of the second run", run.count("changed"), 0)


@pytest.mark.skipif(not EXAMPLES, reason="no inventory lists its hosts in AWS")
@pytest.mark.parametrize("size", SIZES)
def test_aws_inventory_lists_only_hosts_of_its_environment(cloud, size):
    found = cloud.client("ec2").describe_instances(Filters=tag_filters(cloud, size))["Reservations"]
    expected = {host["InstanceId"] for each in found for host in each["Instances"]}
    for example in EXAMPLES:
        folder = cloud.folder / f"aws-{size}-{example.parent.name}"
        folder.mkdir()
        text = example.read_text()
        tag = f"tag:Environment: {example.parent.name}"
        assert tag in text, f"{example}: expected {tag}"
        (folder / "aws_ec2.yml").write_text(text.replace(tag, f"tag:Environment: {size}"))
        listed = json.loads(cloud.ansible("ansible-inventory", "-i", str(folder), "--list"))
        for role in ("web", "database"):
            got = {f"i-{name.rsplit('-i-', 1)[-1]}" for name in listed[role]["hosts"]}
            assert_equal(f"{example.parent.name}: hosts of the group {role}", got, expected)
