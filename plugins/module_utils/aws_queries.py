"""The queries for the AWS resources of an environment."""

from __future__ import annotations

from typing import Any

RUNNING = ["pending", "running", "stopping", "stopped"]


def kinds(name: str, environment: str, account: str) -> dict[str, tuple[str, str, dict[str, Any], str]]:
    """Return service, operation, arguments and JMESPath of the resources, by their kind."""
    tagged = [
        {"Name": "tag:Project", "Values": ["decanter"]},
        {"Name": "tag:Environment", "Values": [environment]},
    ]
    filters = {"Filters": tagged}
    running = {"Filters": [*tagged, {"Name": "instance-state-name", "Values": RUNNING}]}
    named = f"'{name}'"
    return {
        "network": ("ec2", "describe_vpcs", filters, "Vpcs[].{id: VpcId}"),
        "subnets": ("ec2", "describe_subnets", filters, "Subnets[].{id: SubnetId, cidr: CidrBlock}"),
        "gateway": (
            "ec2",
            "describe_internet_gateways",
            filters,
            "InternetGateways[].{id: InternetGatewayId}",
        ),
        "routes": ("ec2", "describe_route_tables", filters, "RouteTables[].{id: RouteTableId}"),
        "groups": (
            "ec2",
            "describe_security_groups",
            filters,
            "SecurityGroups[].{id: GroupId, name: GroupName}",
        ),
        "key_pair": ("ec2", "describe_key_pairs", {}, f"KeyPairs[?KeyName=={named}].{{id: KeyName}}"),
        "instances": (
            "ec2",
            "describe_instances",
            running,
            "Reservations[].Instances[].{id: InstanceId, name: Tags[?Key=='Name'] | [0].Value, "
            "group: Tags[?Key=='aws:autoscaling:groupName'] | [0].Value, details: {type: InstanceType}}",
        ),
        "addresses": (
            "ec2",
            "describe_addresses",
            filters,
            "Addresses[].{id: PublicIp, instance: InstanceId}",
        ),
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
        "logs": (
            "logs",
            "describe_log_groups",
            {"logGroupNamePrefix": f"/decanter/{environment}/"},
            "logGroups[].{id: logGroupName}",
        ),
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
        "edge": (
            "cloudformation",
            "describe_stacks",
            {},
            f"Stacks[?StackName=='{name}-edge']"
            ".{id: StackName, name: Outputs[?OutputKey=='Domain'] | [0].OutputValue}",
        ),
        "firewall": (
            "wafv2",
            "list_web_acls",
            {"Scope": "REGIONAL"},
            f"WebACLs[?Name=={named}].{{id: ARN}}",
        ),
    }
