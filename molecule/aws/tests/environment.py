"""The resources of an environment in the AWS account."""

from __future__ import annotations

import os
from typing import Any

import jmespath
import pytest
from cloud import ZONE, Cloud

# AWS_SIZES="small" limits the tests to one size.
SIZES = os.environ.get("AWS_SIZES", "small standard scaled").split()
SINGLE = [size for size in SIZES if size != "scaled"]
LARGER = [size for size in SIZES if size != "small"]


def only_with(size: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(size not in SIZES, reason=f"AWS_SIZES has no {size}")


# A service and its operation that lists resources: the JMESPath of their names.
LISTINGS = {
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


def resources(cloud: Cloud) -> dict[str, list[str]]:
    """Return the names of all resources of the account, by service and operation."""
    found = {}
    for (service, operation), path in LISTINGS.items():
        response = getattr(cloud.client(service), operation)()
        found[f"{service} {operation}"] = sorted(jmespath.search(path, response) or [])
    acls = cloud.client("wafv2").list_web_acls(Scope="REGIONAL")["WebACLs"]
    policies = cloud.client("iam").list_policies(Scope="Local")["Policies"]
    kms = cloud.client("kms")
    keys = [kms.describe_key(KeyId=each["KeyId"])["KeyMetadata"] for each in kms.list_keys()["Keys"]]
    # KMS deletes a key a week after the request. Its aliases exist until then.
    pending = {each["KeyId"] for each in keys if each["KeyState"] == "PendingDeletion"}
    aliases = {each["AliasName"]: each.get("TargetKeyId") for each in kms.list_aliases()["Aliases"]}
    # AWS creates some keys itself, such as the one for disks.
    aws_managed = {key for alias, key in aliases.items() if alias.startswith("alias/aws/")}
    return found | {
        "wafv2 list_web_acls": [each["Name"] for each in acls],
        "iam list_policies": [each["PolicyName"] for each in policies],
        "kms list_keys": sorted({each["KeyId"] for each in keys} - pending - aws_managed),
        "kms list_aliases": sorted(
            alias for alias, key in aliases.items() if key not in pending | aws_managed
        ),
    }


def tag_filters(cloud: Cloud, size: str) -> dict[str, list[dict[str, str]]]:
    return [
        {"Name": "tag:Project", "Values": ["decanter"]},
        {"Name": "tag:Environment", "Values": [size]},
    ]


def security_group(cloud: Cloud, size: str, role: str) -> dict[str, Any]:
    filters = [{"Name": "group-name", "Values": [f"decanter-{size}-{role}"]}]
    (found,) = cloud.client("ec2").describe_security_groups(Filters=filters)["SecurityGroups"]
    return found


def ingress(group: dict[str, Any]) -> set[tuple[int, str]]:
    """Return the port and the source of each rule. A source is a network or the ID of a group."""
    return {
        (rule["FromPort"], source)
        for rule in group["IpPermissions"]
        for source in [
            *(each["CidrIp"] for each in rule["IpRanges"]),
            *(each["GroupId"] for each in rule["UserIdGroupPairs"]),
        ]
    }


def assert_equal(name: str, got: Any, expected: Any) -> None:
    assert got == expected, f"{name}: expected {expected}, got {got}"


def assert_access(cloud: Cloud, size: str) -> None:
    web = security_group(cloud, size, "web")
    default = cloud.client("ec2").describe_security_groups(
        Filters=[{"Name": "vpc-id", "Values": [web["VpcId"]]}, {"Name": "group-name", "Values": ["default"]}]
    )["SecurityGroups"][0]
    assert_equal(
        "default security group", (default["IpPermissions"], default["IpPermissionsEgress"]), ([], [])
    )
    public = {(80, "0.0.0.0/0"), (443, "0.0.0.0/0")}
    ssh = {(22, "198.18.5.0/24")}
    if size == "scaled":
        balancer = security_group(cloud, size, "balancer")
        assert_equal("ingress of the load balancer", ingress(balancer), public)
        assert_equal("ingress of web hosts", ingress(web), ssh | {(443, balancer["GroupId"])})
        assert_equal(
            "ingress of Redis", ingress(security_group(cloud, size, "redis")), {(6379, web["GroupId"])}
        )
    else:
        assert_equal("ingress of web hosts", ingress(web), ssh | public)
    if size != "small":
        database = security_group(cloud, size, "database")
        assert_equal("ingress of the database", ingress(database), {(3306, web["GroupId"])})
        assert_equal("egress of the database", database["IpPermissionsEgress"], [])


def assert_web_host(cloud: Cloud, size: str) -> None:
    ec2 = cloud.client("ec2")
    (reservation,) = ec2.describe_instances(Filters=tag_filters(cloud, size))["Reservations"]
    (host,) = reservation["Instances"]
    options = host["MetadataOptions"]
    assert_equal("IMDSv2", (options["HttpTokens"], options["HttpPutResponseHopLimit"]), ("required", 1))
    tags = {each["Key"]: each["Value"] for each in host["Tags"]}
    expected = {"Name": f"{size}-web1", "Project": "decanter", "Environment": size, "Role": "web"}
    assert_equal("tags", tags, expected)
    volumes = ec2.describe_volumes(
        Filters=[{"Name": "attachment.instance-id", "Values": [host["InstanceId"]]}]
    )
    assert_equal(
        "disks", {(each["Encrypted"], each["VolumeType"]) for each in volumes["Volumes"]}, {(True, "gp3")}
    )
    assert host["IamInstanceProfile"]["Arn"].endswith(f"/decanter-{size}-web"), host["IamInstanceProfile"]
    (address,) = ec2.describe_addresses(Filters=tag_filters(cloud, size))["Addresses"]
    assert_equal("instance of the public address", address["InstanceId"], host["InstanceId"])
    assert_equal("records", records(cloud, size), {f"{size}.{ZONE}.", f"www.{size}.{ZONE}."})


def records(cloud: Cloud, size: str) -> set[str]:
    route53 = cloud.client("route53")
    (zone,) = route53.list_hosted_zones()["HostedZones"]
    found = route53.list_resource_record_sets(HostedZoneId=zone["Id"])["ResourceRecordSets"]
    return {each["Name"] for each in found if each["Type"] == "A" and size in each["Name"]}
