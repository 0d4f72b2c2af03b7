"""An environment at AWS: what the account has of it."""

from __future__ import annotations

import os
from typing import Any

import jmespath
import pytest
from cloud import ZONE, Cloud

# AWS_SIZES="small" is for who works on one of them.
SIZES = os.environ.get("AWS_SIZES", "small standard scaled").split()
SINGLE = [size for size in SIZES if size != "scaled"]
LARGER = [size for size in SIZES if size != "small"]


def only_with(size: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(size not in SIZES, reason=f"AWS_SIZES has no {size}")


# By the service: what is asked, and a JMESPath of what there is.
ALL = {
    ("ec2", "describe_vpcs"): "Vpcs[].VpcId",
    ("ec2", "describe_subnets"): "Subnets[].SubnetId",
    ("ec2", "describe_security_groups"): "SecurityGroups[].GroupId",
    ("ec2", "describe_internet_gateways"): "InternetGateways[].InternetGatewayId",
    ("ec2", "describe_route_tables"): "RouteTables[].RouteTableId",
    ("ec2", "describe_instances"): "Reservations[].Instances[?State.Name!='terminated'][].InstanceId",
    ("ec2", "describe_volumes"): "Volumes[].VolumeId",
    ("ec2", "describe_addresses"): "Addresses[].PublicIp",
    ("ec2", "describe_key_pairs"): "KeyPairs[].KeyName",
    ("ec2", "describe_launch_templates"): "LaunchTemplates[].LaunchTemplateName",
    ("autoscaling", "describe_auto_scaling_groups"): "AutoScalingGroups[].AutoScalingGroupName",
    ("autoscaling", "describe_policies"): "ScalingPolicies[].PolicyName",
    ("elbv2", "describe_load_balancers"): "LoadBalancers[].LoadBalancerName",
    ("elbv2", "describe_target_groups"): "TargetGroups[].TargetGroupName",
    ("acm", "list_certificates"): "CertificateSummaryList[].DomainName",
    ("rds", "describe_db_instances"): "DBInstances[].DBInstanceIdentifier",
    ("rds", "describe_db_snapshots"): "DBSnapshots[].DBSnapshotIdentifier",
    ("rds", "describe_db_subnet_groups"): "DBSubnetGroups[].DBSubnetGroupName",
    ("rds", "describe_db_parameter_groups"): "DBParameterGroups[].DBParameterGroupName",
    ("elasticache", "describe_replication_groups"): "ReplicationGroups[].ReplicationGroupId",
    ("elasticache", "describe_cache_subnet_groups"): "CacheSubnetGroups[].CacheSubnetGroupName",
    ("iam", "list_roles"): "Roles[].RoleName",
    ("iam", "list_instance_profiles"): "InstanceProfiles[].InstanceProfileName",
    ("s3", "list_buckets"): "Buckets[].Name",
    ("ecr", "describe_repositories"): "repositories[].repositoryName",
    ("logs", "describe_log_groups"): "logGroups[].logGroupName",
    ("logs", "describe_metric_filters"): "metricFilters[].filterName",
    ("sns", "list_topics"): "Topics[].TopicArn",
    ("sns", "list_subscriptions"): "Subscriptions[].SubscriptionArn",
    ("cloudwatch", "describe_alarms"): "MetricAlarms[].AlarmName",
    ("ssm", "describe_parameters"): "Parameters[].Name",
    ("route53", "list_hosted_zones"): "HostedZones[].Name",
}


def counted(cloud: Cloud) -> dict[str, list[str]]:
    """What the account has, of every service that an environment asks for something."""
    found = {}
    for (service, ask), path in ALL.items():
        found[f"{service} {ask}"] = sorted(jmespath.search(path, getattr(cloud.client(service), ask)()) or [])
    acls = cloud.client("wafv2").list_web_acls(Scope="REGIONAL")["WebACLs"]
    policies = cloud.client("iam").list_policies(Scope="Local")["Policies"]
    kms = cloud.client("kms")
    keys = [kms.describe_key(KeyId=each["KeyId"])["KeyMetadata"] for each in kms.list_keys()["Keys"]]
    # They wait a week for their end, and their aliases with them.
    going = {each["KeyId"] for each in keys if each["KeyState"] == "PendingDeletion"}
    aliases = {each["AliasName"]: each.get("TargetKeyId") for each in kms.list_aliases()["Aliases"]}
    # AWS's own, such as that of disks.
    others = {key for alias, key in aliases.items() if alias.startswith("alias/aws/")}
    return found | {
        "wafv2 list_web_acls": [each["Name"] for each in acls],
        "iam list_policies": [each["PolicyName"] for each in policies],
        "kms list_keys": sorted({each["KeyId"] for each in keys} - going - others),
        "kms list_aliases": sorted(alias for alias, key in aliases.items() if key not in going | others),
    }


def of(cloud: Cloud, size: str) -> dict[str, list[dict[str, str]]]:
    return [
        {"Name": "tag:Project", "Values": ["decanter"]},
        {"Name": "tag:Environment", "Values": [size]},
    ]


def group(cloud: Cloud, size: str, role: str) -> dict[str, Any]:
    wanted = [{"Name": "group-name", "Values": [f"decanter-{size}-{role}"]}]
    (found,) = cloud.client("ec2").describe_security_groups(Filters=wanted)["SecurityGroups"]
    return found


def let_in(found: dict[str, Any]) -> set[tuple[int, str]]:
    """Each port and who reaches it: a network, or a group by its id."""
    return {
        (rule["FromPort"], who)
        for rule in found["IpPermissions"]
        for who in [
            *(each["CidrIp"] for each in rule["IpRanges"]),
            *(each["GroupId"] for each in rule["UserIdGroupPairs"]),
        ]
    }


def same(what: str, got: Any, expected: Any) -> None:
    assert got == expected, f"{what}: expected {expected}, got {got}"


def assert_access(cloud: Cloud, size: str) -> None:
    web = group(cloud, size, "web")
    closed = cloud.client("ec2").describe_security_groups(
        Filters=[{"Name": "vpc-id", "Values": [web["VpcId"]]}, {"Name": "group-name", "Values": ["default"]}]
    )["SecurityGroups"][0]
    same("the network's own group", (closed["IpPermissions"], closed["IpPermissionsEgress"]), ([], []))
    world = {(80, "0.0.0.0/0"), (443, "0.0.0.0/0")}
    ssh = {(22, "198.18.5.0/24")}
    if size == "scaled":
        balancer = group(cloud, size, "balancer")
        same("the load balancer", let_in(balancer), world)
        same("web hosts", let_in(web), ssh | {(443, balancer["GroupId"])})
        same("Redis", let_in(group(cloud, size, "redis")), {(6379, web["GroupId"])})
    else:
        same("web hosts", let_in(web), ssh | world)
    if size != "small":
        database = group(cloud, size, "database")
        same("the database", let_in(database), {(3306, web["GroupId"])})
        same("ways out of the database", database["IpPermissionsEgress"], [])


def assert_web_host(cloud: Cloud, size: str) -> None:
    ec2 = cloud.client("ec2")
    (reservation,) = ec2.describe_instances(Filters=of(cloud, size))["Reservations"]
    (host,) = reservation["Instances"]
    options = host["MetadataOptions"]
    same("IMDSv2", (options["HttpTokens"], options["HttpPutResponseHopLimit"]), ("required", 1))
    tags = {each["Key"]: each["Value"] for each in host["Tags"]}
    expected = {"Name": f"{size}-web1", "Project": "decanter", "Environment": size, "Role": "web"}
    same("tags", tags, expected)
    volumes = ec2.describe_volumes(
        Filters=[{"Name": "attachment.instance-id", "Values": [host["InstanceId"]]}]
    )
    same("disks", {(each["Encrypted"], each["VolumeType"]) for each in volumes["Volumes"]}, {(True, "gp3")})
    assert host["IamInstanceProfile"]["Arn"].endswith(f"/decanter-{size}-web"), host["IamInstanceProfile"]
    (address,) = ec2.describe_addresses(Filters=of(cloud, size))["Addresses"]
    same("where the address leads", address["InstanceId"], host["InstanceId"])
    same("records", records(cloud, size), {f"{size}.{ZONE}.", f"www.{size}.{ZONE}."})


def records(cloud: Cloud, size: str) -> set[str]:
    route53 = cloud.client("route53")
    (zone,) = route53.list_hosted_zones()["HostedZones"]
    found = route53.list_resource_record_sets(HostedZoneId=zone["Id"])["ResourceRecordSets"]
    return {each["Name"] for each in found if each["Type"] == "A" and size in each["Name"]}
