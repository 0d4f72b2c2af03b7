#!/usr/bin/python
from __future__ import annotations

import contextlib
import functools
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.botocore import get_aws_connection_info
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule

with contextlib.suppress(ImportError):  # AnsibleAWSModule says that boto3 is missing
    from botocore.exceptions import BotoCoreError, ClientError

DOCUMENTATION = """
module: aws_resources
short_description: What an environment has at AWS, asked for in one call
description: Reads, and changes nothing.
author: [Decanter]
options:
  environment: {type: str, required: true, description: The environment, which its names and tags have.}
  region: {type: str, description: Where it is.}
  dns_zone: {type: str, default: "", description: "A hosted zone, whose id and records are wanted as well."}
"""

RETURN = """
made:
  description: By its kind, each resource's `id` and, where a plan compares them, its `details`.
  returned: always
  type: dict
account: {type: str, returned: always, description: Whose account it is.}
zones: {type: list, returned: always, description: "The region's zones, by name."}
dns_zone_id: {type: str, returned: always, description: The hosted zone's id; empty where there is none.}
cloudfront_networks: {type: str, returned: always, description: The prefix list of CloudFront's own servers.}
"""

RUNNING = ["pending", "running", "stopping", "stopped"]


def kinds(name: str, environment: str, account: str) -> dict[str, tuple[str, str, dict[str, Any], str]]:
    """By the kind: a service, what is asked, how, and a JMESPath of what is the environment's."""
    tagged = [
        {"Name": "tag:Project", "Values": ["decanter"]},
        {"Name": "tag:Environment", "Values": [environment]},
    ]
    ours = {"Filters": tagged}
    alive = {"Filters": [*tagged, {"Name": "instance-state-name", "Values": RUNNING}]}
    named = f"'{name}'"
    path = f"'/decanter/{environment}'"
    return {
        "network": ("ec2", "describe_vpcs", ours, "Vpcs[].{id: VpcId}"),
        "subnets": ("ec2", "describe_subnets", ours, "Subnets[].{id: SubnetId, cidr: CidrBlock}"),
        "gateway": ("ec2", "describe_internet_gateways", ours, "InternetGateways[].{id: InternetGatewayId}"),
        "routes": ("ec2", "describe_route_tables", ours, "RouteTables[].{id: RouteTableId}"),
        "groups": (
            "ec2",
            "describe_security_groups",
            ours,
            "SecurityGroups[].{id: GroupId, name: GroupName}",
        ),
        "key_pair": ("ec2", "describe_key_pairs", {}, f"KeyPairs[?KeyName=={named}].{{id: KeyName}}"),
        "instances": (
            "ec2",
            "describe_instances",
            alive,
            "Reservations[].Instances[].{id: InstanceId, name: Tags[?Key=='Name'] | [0].Value, "
            "group: Tags[?Key=='aws:autoscaling:groupName'] | [0].Value, details: {type: InstanceType}}",
        ),
        "addresses": ("ec2", "describe_addresses", ours, "Addresses[].{id: PublicIp, instance: InstanceId}"),
        "template": (
            "ec2",
            "describe_launch_templates",
            {},
            f"LaunchTemplates[?LaunchTemplateName=='{name}-web'].{{id: LaunchTemplateName}}",
        ),
        "scaling": (
            "autoscaling",
            "describe_auto_scaling_groups",
            {},
            f"AutoScalingGroups[?AutoScalingGroupName=='{name}-web']"
            ".{id: AutoScalingGroupName, details: {minimum: MinSize, maximum: MaxSize}}",
        ),
        "balancer": (
            "elbv2",
            "describe_load_balancers",
            {},
            f"LoadBalancers[?LoadBalancerName=={named}].{{id: LoadBalancerArn, name: DNSName}}",
        ),
        "targets": (
            "elbv2",
            "describe_target_groups",
            {},
            f"TargetGroups[?TargetGroupName=='{name}-web'].{{id: TargetGroupArn}}",
        ),
        "certificate": (
            "acm",
            "list_certificates",
            {"Includes": {"keyTypes": ["RSA_2048", "EC_prime256v1"]}},
            "CertificateSummaryList[].{id: CertificateArn}",
        ),
        "database": (
            "rds",
            "describe_db_instances",
            {},
            f"DBInstances[?DBInstanceIdentifier=={named}].{{id: DBInstanceIdentifier, details: "
            "{class: DBInstanceClass, storage: AllocatedStorage, multi_az: MultiAZ, version: EngineVersion}, "
            "status: DBInstanceStatus}",
        ),
        "database_subnets": (
            "rds",
            "describe_db_subnet_groups",
            {},
            f"DBSubnetGroups[?DBSubnetGroupName=={named}].{{id: DBSubnetGroupName}}",
        ),
        "database_parameters": (
            "rds",
            "describe_db_parameter_groups",
            {},
            f"DBParameterGroups[?starts_with(DBParameterGroupName, '{name}-mysql')]"
            ".{id: DBParameterGroupName}",
        ),
        "snapshots": (
            "rds",
            "describe_db_snapshots",
            {"SnapshotType": "manual"},
            f"DBSnapshots[?DBInstanceIdentifier=={named}].{{id: DBSnapshotIdentifier}}",
        ),
        "redis": (
            "elasticache",
            "describe_replication_groups",
            {},
            f"ReplicationGroups[?ReplicationGroupId=={named}].{{id: ReplicationGroupId, "
            "details: {type: CacheNodeType, nodes: length(MemberClusters || `[]`)}}",
        ),
        "redis_subnets": (
            "elasticache",
            "describe_cache_subnet_groups",
            {},
            f"CacheSubnetGroups[?CacheSubnetGroupName=={named}].{{id: CacheSubnetGroupName}}",
        ),
        "key": ("kms", "list_aliases", {}, f"Aliases[?AliasName=='alias/{name}'].{{id: TargetKeyId}}"),
        "policy": (
            "iam",
            "list_policies",
            {"Scope": "Local"},
            f"Policies[?PolicyName=='{name}-web'].{{id: Arn}}",
        ),
        "role": ("iam", "list_roles", {}, f"Roles[?RoleName=='{name}-web'].{{id: RoleName}}"),
        "profile": (
            "iam",
            "list_instance_profiles",
            {},
            f"InstanceProfiles[?InstanceProfileName=='{name}-web'].{{id: InstanceProfileName}}",
        ),
        "bucket": ("s3", "list_buckets", {}, f"Buckets[?Name=='{name}-{account}'].{{id: Name}}"),
        "repository": (
            "ecr",
            "describe_repositories",
            {},
            f"repositories[?repositoryName=='decanter/{environment}'].{{id: repositoryName}}",
        ),
        "logs": ("logs", "describe_log_groups", {}, f"logGroups[?logGroupName=={path}].{{id: logGroupName}}"),
        "topic": ("sns", "list_topics", {}, f"Topics[?ends_with(TopicArn, ':{name}')].{{id: TopicArn}}"),
        "alarms": (
            "cloudwatch",
            "describe_alarms",
            {"AlarmNamePrefix": f"{name}-"},
            "MetricAlarms[].{id: AlarmName}",
        ),
        "parameters": (
            "ssm",
            "describe_parameters",
            {},
            f"Parameters[?starts_with(Name, '/decanter/{environment}/')].{{id: Name}}",
        ),
        "firewall": (
            "wafv2",
            "list_web_acls",
            {"Scope": "REGIONAL"},
            f"WebACLs[?Name=={named}].{{id: ARN}}",
        ),
    }


@functools.cache
def session(profile: str | None) -> Any:
    import boto3

    return boto3.session.Session(profile_name=profile)


@functools.cache
def client_of(module: AnsibleAWSModule, service: str) -> Any:
    """As module.client, of one session: what a session reads is most of what a client costs."""
    region, endpoint, options = get_aws_connection_info(module)
    config = options.pop("aws_config", None)
    return session(options.pop("profile_name", None)).client(
        service, region_name=region, endpoint_url=endpoint, config=config, **options
    )


def everything(module: AnsibleAWSModule, service: str, ask: str, how: dict[str, Any], path: str) -> list[Any]:
    import jmespath

    client = client_of(module, service)
    if client.can_paginate(ask):
        return [each for each in client.get_paginator(ask).paginate(**how).search(path) if each]
    return jmespath.search(path, getattr(client, ask)(**how)) or []


def tagged_certificates(module: AnsibleAWSModule, found: list[Any], name: str) -> list[Any]:
    """Certificates have no name but a tag."""
    client = client_of(module, "acm")
    wanted = {"Key": "Name", "Value": name}
    return [
        each
        for each in found
        if wanted in client.list_tags_for_certificate(CertificateArn=each["id"])["Tags"]
    ]


def living_keys(module: AnsibleAWSModule, found: list[Any]) -> list[Any]:
    """An alias stays while its key waits for its end."""
    client = client_of(module, "kms")
    states = [client.describe_key(KeyId=each["id"])["KeyMetadata"]["KeyState"] for each in found]
    return [each for each, state in zip(found, states, strict=True) if state != "PendingDeletion"]


def records(module: AnsibleAWSModule, zone: str) -> tuple[str, list[Any]]:
    """The public zone of a name, and what is in it."""
    path = f"HostedZones[?Name=='{zone}.' && !(Config.PrivateZone)].Id"
    ids = everything(module, "route53", "list_hosted_zones", {}, path) if zone else []
    if not ids:
        return "", []
    identifier = ids[0].rsplit("/", 1)[-1]
    path = "ResourceRecordSets[].{id: Name, type: Type, values: ResourceRecords[].Value, alias: AliasTarget}"
    how = {"HostedZoneId": identifier}
    return identifier, everything(module, "route53", "list_resource_record_sets", how, path)


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "environment": {"type": "str", "required": True},
            "dns_zone": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    environment = module.params["environment"]
    name = f"decanter-{environment}"
    try:
        account = client_of(module, "sts").get_caller_identity()["Account"]
        asked = kinds(name, environment, account)
        made = {kind: everything(module, *how) for kind, how in asked.items()}
        made["certificate"] = tagged_certificates(module, made["certificate"], name)
        made["key"] = living_keys(module, made["key"])
        zones = everything(module, "ec2", "describe_availability_zones", {}, "AvailabilityZones[].ZoneName")
        lists = {"Filters": [{"Name": "prefix-list-name", "Values": [CLOUDFRONT]}]}
        path = "PrefixLists[].PrefixListId"
        networks = everything(module, "ec2", "describe_managed_prefix_lists", lists, path)
        dns_zone_id, dns = records(module, module.params["dns_zone"])
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg="What is there cannot be asked")
    module.exit_json(
        changed=False,
        account=account,
        made=made,
        zones=sorted(zones),
        dns_zone_id=dns_zone_id,
        records=dns,
        cloudfront_networks=networks[0] if networks else "",
    )


CLOUDFRONT = "com.amazonaws.global.cloudfront.origin-facing"

if __name__ == "__main__":
    main()
