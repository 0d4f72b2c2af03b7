"""The hosts of a provisioned environment."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import yaml
from cloud import ROOT, ZONE, Cloud
from environment import SINGLE, SIZES, assert_web_host, of, only_with, records, same

# Files that ask AWS for the hosts of an environment.
OFFERED = sorted(ROOT.glob("inventories/*/aws_ec2.yml.example"))


@pytest.mark.parametrize("size", SIZES)
def test_the_image_is_the_newest_and_stays(cloud, size):
    kept = yaml.safe_load((cloud.inventory(size) / "group_vars/all/aws_image.yml").read_text())
    same("image", kept, {"aws_image": "ami-00000002"})


@pytest.mark.parametrize("size", SIZES)
def test_other_roles_are_told_what_they_need(cloud, size):
    text = (cloud.inventory(size) / "group_vars/all/aws_made.yml").read_text()
    written = yaml.safe_load(text)
    bucket = f"decanter-{size}-123456789012"
    same("the bucket", written["aws_made"]["bucket"], bucket)
    same(
        "logs",
        (written["cloudwatch_log_group"], written["cloudwatch_namespace"]),
        (f"/decanter/{size}", f"Decanter/{size}"),
    )
    same("a database elsewhere", "mysql_host" in written, size != "small")
    same("a load balancer", written.get("balancer_kind"), "alb" if size == "scaled" else None)
    same("published in", written.get("fleet_bucket"), bucket if size == "scaled" else None)
    if size == "scaled":
        subnets = cloud.client("ec2").describe_subnets(Filters=of(cloud, size))["Subnets"]
        public = sorted(each["CidrBlock"] for each in subnets if each["MapPublicIpOnLaunch"])
        same("whom hosts believe", sorted(written["balancer_networks"]), public)
    if size == "small":
        return
    asked = cloud.client("ssm").get_parameter(Name=f"/decanter/{size}/database/password", WithDecryption=True)
    password = asked["Parameter"]["Value"]
    assert len(password) == 40 and password not in text, "expected the password in no file"
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
    shown = cloud.ansible("ansible", *command, "-e", f"@{folder}/group_vars/all/aws_made.yml")
    assert password in shown, f"expected what the parameter store has, got {shown}"


@pytest.mark.parametrize("size", SINGLE)
def test_a_web_host(cloud, size):
    assert_web_host(cloud, size)


@only_with("scaled")
def test_several_web_hosts_and_what_is_before_them(cloud):
    scaling = cloud.client("autoscaling")
    (found,) = scaling.describe_auto_scaling_groups()["AutoScalingGroups"]
    same("how many", (found["MinSize"], found["MaxSize"], len(found["Instances"])), (2, 4, 2))
    same("zones", len(found["AvailabilityZones"]), 2)
    versions = cloud.client("ec2").describe_launch_template_versions(LaunchTemplateName="decanter-scaled-web")
    data = max(versions["LaunchTemplateVersions"], key=lambda each: each["VersionNumber"])[
        "LaunchTemplateData"
    ]
    options = data["MetadataOptions"]
    same("IMDSv2", (options["HttpTokens"], options["HttpPutResponseHopLimit"]), ("required", 1))
    same("disks", [each["Ebs"]["Encrypted"] for each in data["BlockDeviceMappings"]], [True])
    balancing = cloud.client("elbv2")
    (balancer,) = balancing.describe_load_balancers()["LoadBalancers"]
    arn = balancer["LoadBalancerArn"]
    listeners = {
        each["Port"]: each for each in balancing.describe_listeners(LoadBalancerArn=arn)["Listeners"]
    }
    same("HTTP", listeners[80]["DefaultActions"][0]["Type"], "redirect")
    same("HTTPS", listeners[443]["DefaultActions"][0]["Type"], "forward")
    (firewall,) = cloud.client("wafv2").list_web_acls(Scope="REGIONAL")["WebACLs"]
    guarded = cloud.client("wafv2").list_resources_for_web_acl(WebACLArn=firewall["ARN"])["ResourceArns"]
    same("what the firewall is before", guarded, [arn])
    same("records", records(cloud, "scaled"), {f"scaled.{ZONE}.", f"www.scaled.{ZONE}."})
    (targets,) = balancing.describe_target_groups()["TargetGroups"]
    asked = [targets[f"HealthCheck{what}"] for what in ("Protocol", "Path", "IntervalSeconds")]
    same("what is asked of each host", asked, ["HTTPS", "/.decanter/health/harbour", 5])
    same("where hosts listen", (targets["Protocol"], targets["Port"]), ("HTTPS", 443))
    same("the group asks", found["HealthCheckType"], "EC2")
    same("before the first deploy", (hooks(cloud), told(data)["hook"]), ([], ""))
    (redis,) = cloud.client("elasticache").describe_replication_groups()["ReplicationGroups"]
    same("Redis", (redis["AtRestEncryptionEnabled"], redis["TransitEncryptionEnabled"]), (True, True))
    same("its nodes", len(redis["MemberClusters"]), 2)


def hooks(cloud: Cloud) -> list[tuple[Any, ...]]:
    scaling = cloud.client("autoscaling")
    found = scaling.describe_lifecycle_hooks(AutoScalingGroupName="decanter-scaled-web")["LifecycleHooks"]
    wanted = ("LifecycleHookName", "LifecycleTransition", "DefaultResult", "HeartbeatTimeout")
    return [tuple(each[key] for key in wanted) for each in found]


def told(data: dict[str, Any]) -> dict[str, Any]:
    """What a new host is told by its user data."""
    script = base64.b64decode(data["UserData"]).decode()
    return json.loads(script.split("<<'JSON'\n")[1].split("\nJSON\n")[0])


@only_with("scaled")
def test_new_hosts_make_themselves_once_something_is_published(cloud):
    """And what was spoilt is repaired by the same run."""
    s3, bucket = cloud.client("s3"), "decanter-scaled-123456789012"
    # What stands for AWS is asked without TLS.
    s3.delete_bucket_policy(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="decanter/live.json", Body=b"{}")
    password = {"Name": "/decanter/scaled/vault/password", "Type": "SecureString", "Value": "a"}
    cloud.client("ssm").put_parameter(**password, KeyId="alias/decanter-scaled")
    arn = cloud.client("elbv2").describe_load_balancers()["LoadBalancers"][0]["LoadBalancerArn"]
    cloud.client("wafv2").disassociate_web_acl(ResourceArn=arn)
    run = cloud.begin("provision", "scaled").end().succeeded("published, repaired")
    same("changed", run.counted("changed"), 4)
    serves = ("decanter-scaled-serves", "autoscaling:EC2_INSTANCE_LAUNCHING", "ABANDON", 1800)
    same("who is waited for", hooks(cloud), [serves])
    versions = cloud.client("ec2").describe_launch_template_versions(
        LaunchTemplateName="decanter-scaled-web", Versions=["$Latest"]
    )
    expected = {
        "bucket": bucket,
        "prefix": "decanter",
        "region": "eu-west-1",
        "hook": serves[0],
        "vault_parameter": password["Name"],
    }
    same("a new host is told", told(versions["LaunchTemplateVersions"][0]["LaunchTemplateData"]), expected)
    run = cloud.begin("provision", "scaled").end().succeeded("nothing to do")
    same("changed in a second run", run.counted("changed"), 0)


@pytest.mark.skipif(not OFFERED, reason="no inventory asks AWS for its hosts")
@pytest.mark.parametrize("size", SIZES)
def test_an_inventory_lists_the_hosts_of_its_environment_alone(cloud, size):
    found = cloud.client("ec2").describe_instances(Filters=of(cloud, size))["Reservations"]
    expected = {host["InstanceId"] for each in found for host in each["Instances"]}
    for offered in OFFERED:
        folder = cloud.folder / f"asked-{size}-{offered.parent.name}"
        folder.mkdir()
        text = offered.read_text()
        own = f"tag:Environment: {offered.parent.name}"
        assert own in text, f"{offered}: expected {own}"
        (folder / "aws_ec2.yml").write_text(text.replace(own, f"tag:Environment: {size}"))
        listed = json.loads(cloud.ansible("ansible-inventory", "-i", str(folder), "--list"))
        for role in ("web", "database"):
            got = {f"i-{name.rsplit('-i-', 1)[-1]}" for name in listed[role]["hosts"]}
            same(f"{offered.parent.name}'s hosts in {role}", got, expected)
