"""Each size made, made again, read back, spoilt, repaired and destroyed, as AWS would see it."""

from __future__ import annotations

import base64
import json
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import jmespath
import pytest
import yaml
from cloud import ROOT, ZONE, Cloud

# AWS_SIZES="small" is for who works on one of them.
SIZES = os.environ.get("AWS_SIZES", "small standard scaled").split()
SINGLE = [size for size in SIZES if size != "scaled"]
# Files that ask AWS for the hosts of an environment.
OFFERED = sorted(ROOT.glob("inventories/*/aws_ec2.yml.example"))
LARGER = [size for size in SIZES if size != "small"]


def only_with(size: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(size not in SIZES, reason=f"AWS_SIZES has no {size}")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    cloud = Cloud(tmp_path_factory.mktemp("aws"))
    cloud.start()
    cloud.empty = counted(cloud)
    yield cloud
    cloud.stop()
    print("", "What each run took:", *cloud.figures, sep="\n")


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


def test_a_bad_dictionary_is_refused_before_the_first_call(cloud):
    folder = cloud.inventory("small")
    path = folder / "group_vars/all/aws.yml"
    good = path.read_text()
    path.write_text(good.replace("eu-west-1", "Ireland").replace("size: small", "size: tiny"))
    asked = (cloud.folder / "moto.log").stat().st_size
    run = cloud.begin("provision", "small").end()
    path.write_text(good)
    assert run.process.returncode != 0, "expected a refusal"
    for line in ('aws.region: found "Ireland"', 'aws.size: found "tiny"'):
        assert line in run.said, f"expected {line}, got {run.said}"
    same("requests", (cloud.folder / "moto.log").stat().st_size, asked)


@only_with("small")
def test_a_run_may_be_cut_off(cloud):
    """The next test finishes it, and finds nothing to do after that."""
    run = cloud.begin("provision", "small")
    # It is somewhere in the middle.
    while not cloud.client("s3").list_buckets()["Buckets"] and run.process.poll() is None:
        time.sleep(0.5)
    os.kill(cloud.server.pid, signal.SIGSTOP)
    run.process.terminate()
    run.end()
    os.kill(cloud.server.pid, signal.SIGCONT)
    assert run.process.returncode != 0, f"expected that it was cut off, got\n{run.said[-3000:]}"


def test_each_size_is_made_and_then_nothing_changes(cloud):
    for size, run in cloud.all_sizes("provision", SIZES).items():
        run.succeeded("made")
        assert "a month" in run.said and "create" in run.said, (
            f"{size}: expected a plan with prices, got {run.said}"
        )
    if "standard" in SIZES:
        # To change it would stop the host, which nobody has said.
        path = cloud.inventory("standard") / "group_vars/all/aws.yml"
        path.write_text(path.read_text() + "  web: {type: t3.large}\n")
    for size, run in cloud.all_sizes("provision", SIZES).items():
        same(f"{size}: changed in a second run", run.succeeded("nothing to do").counted("changed"), 0)
        left = "t3.small; RESIZE=1 stops it and changes it to t3.large"
        same(f"{size}: the plan says {left}", left in run.said, size == "standard")


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


@pytest.mark.parametrize("size", SIZES)
def test_who_reaches_what(cloud, size):
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


@pytest.mark.parametrize("size", SINGLE)
def test_a_web_host(cloud, size):
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


@pytest.mark.parametrize("size", SIZES)
def test_what_is_kept_is_private_and_encrypted(cloud, size):
    s3, bucket = cloud.client("s3"), f"decanter-{size}-123456789012"
    blocked = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert all(blocked.values()) and len(blocked) == 4, f"expected all of it blocked, got {blocked}"
    same("versions", s3.get_bucket_versioning(Bucket=bucket)["Status"], "Enabled")
    (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    same("encryption", rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"], "aws:kms")
    (statement,) = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
    same(
        "without TLS",
        (statement["Effect"], statement["Condition"]),
        ("Deny", {"Bool": {"aws:SecureTransport": "false"}}),
    )
    rules = {each["ID"]: each for each in s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]}
    same("days of backups", rules["backups"]["Expiration"]["Days"], 14)
    assert "Expiration" not in rules["media"], f"expected that media stays, got {rules['media']}"
    kms = cloud.client("kms")
    key = kms.describe_key(KeyId=f"alias/decanter-{size}")["KeyMetadata"]["KeyId"]
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"], (
        "expected the key rotated, got that it is not"
    )
    (repository,) = [
        each
        for each in cloud.client("ecr").describe_repositories()["repositories"]
        if each["repositoryName"] == f"decanter/{size}"
    ]
    same("images", repository["imageTagMutability"], "IMMUTABLE")
    for each in cloud.client("ssm").describe_parameters()["Parameters"]:
        if each["Name"].startswith(f"/decanter/{size}/"):
            assert each["Type"] == "SecureString" and key in each["KeyId"], (
                f"expected it encrypted by {key}, got {each}"
            )


@pytest.mark.parametrize("size", LARGER)
def test_the_database(cloud, size):
    rds = cloud.client("rds")
    (found,) = rds.describe_db_instances(DBInstanceIdentifier=f"decanter-{size}")["DBInstances"]
    for setting, expected in {
        "PubliclyAccessible": False,
        "StorageEncrypted": True,
        "StorageType": "gp3",
        "BackupRetentionPeriod": 14,
        "DeletionProtection": True,
        "MultiAZ": False,
    }.items():
        same(setting, found[setting], expected)
    name = found["DBParameterGroups"][0]["DBParameterGroupName"]
    settings = rds.describe_db_parameters(DBParameterGroupName=name)["Parameters"]
    values = {each["ParameterName"]: each.get("ParameterValue") for each in settings}
    same("TLS", values.get("require_secure_transport"), "1")
    subnets = {each["SubnetIdentifier"] for each in found["DBSubnetGroup"]["Subnets"]}
    tables = cloud.client("ec2").describe_route_tables(Filters=of(cloud, size))["RouteTables"]
    led = {each["SubnetId"] for table in tables for each in table["Associations"] if "SubnetId" in each}
    assert subnets and not subnets & led, f"expected that nothing leads to {subnets}, got routes to {led}"


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


# What AWS lets nobody narrow to a resource.
ANYWHERE = {
    "autoscaling:DescribeAutoScalingInstances",
    "cloudwatch:PutMetricData",
    "ec2:DescribeTags",
    "ecr:GetAuthorizationToken",
    "route53:GetChange",
    "route53:ListHostedZones",
}


@pytest.mark.parametrize("size", SIZES)
def test_what_a_web_host_may_do(cloud, size):
    iam, name = cloud.client("iam"), f"decanter-{size}-web"
    same("policies of its own", iam.list_role_policies(RoleName=name)["PolicyNames"], [])
    (attached,) = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    arn = attached["PolicyArn"]
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    document = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
    actions = set()
    for statement in document["Statement"]:
        these = {statement["Action"]} if isinstance(statement["Action"], str) else set(statement["Action"])
        assert not any("*" in action for action in these), f"expected actions by name, got {these}"
        where = statement["Resource"]
        if where == "*":
            assert these <= ANYWHERE, f"expected resources by name for {these - ANYWHERE}"
        else:
            key, zone = "key/", "hostedzone/"
            for each in [where] if isinstance(where, str) else where:
                assert size in each or key in each or zone in each, (
                    f"expected {size}'s own for {these}, got {each}"
                )
        actions |= these
    same("it joins a group", "autoscaling:CompleteLifecycleAction" in actions, size == "scaled")
    # Port 22 is open to somebody in each of these.
    same("Session Manager", "ssmmessages:OpenDataChannel" in actions, False)
    trust = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]["Statement"]
    same("who is it", [each["Principal"] for each in trust], [{"Service": "ec2.amazonaws.com"}])


@pytest.mark.parametrize("size", SIZES)
def test_logs_are_kept_for_a_month_and_errors_counted(cloud, size):
    logs, prefix = cloud.client("logs"), f"/decanter/{size}"
    found = logs.describe_log_groups(logGroupNamePrefix=f"{prefix}/")["logGroups"]
    key = cloud.client("kms").describe_key(KeyId=f"alias/decanter-{size}")["KeyMetadata"]["Arn"]
    expected = {f"{prefix}/{each}": (30, key) for each in ("nginx-access", "nginx-error", "journal", "sites")}
    got = {each["logGroupName"]: (each.get("retentionInDays"), each.get("kmsKeyId")) for each in found}
    same("log groups", got, expected)
    (filtered,) = logs.describe_metric_filters(logGroupName=f"{prefix}/nginx-access")["metricFilters"]
    same("what is counted", filtered["filterPattern"], '{ $.status = "5*" }')
    (metric,) = filtered["metricTransformations"]
    same("as", (metric["metricNamespace"], metric["metricName"]), (f"Decanter/{size}", "responses_5xx"))


@pytest.mark.parametrize("size", SIZES)
def test_alarms_are_told_to_somebody(cloud, size):
    pages = (
        cloud.client("cloudwatch")
        .get_paginator("describe_alarms")
        .paginate(AlarmNamePrefix=f"decanter-{size}-")
    )
    alarms = {
        each["AlarmName"].removeprefix(f"decanter-{size}-"): each
        for page in pages
        for each in page["MetricAlarms"]
    }
    expected = {"cpu", "status", "disk", "memory", "5xx", "certificate-days"}
    if size != "small":
        expected |= {"database-storage", "database-cpu", "database-connections"}
    if size == "scaled":
        expected |= {"balancer-5xx", "unhealthy", "redis-memory"}
    if size == "standard":  # whose settings say it
        expected |= {"backup-age"}
    same("alarms", alarms.keys(), expected)
    counted = f"{len(alarms)} CloudWatch alarms"
    said = (cloud.folder / f"provision-{size}.log").read_text()
    assert counted in said, f"expected that the plan says {counted}, got {said}"
    for name, alarm in alarms.items():
        assert alarm["AlarmActions"] and alarm["OKActions"], (
            f"{name}: expected a topic that is told, got none"
        )
    (topic,) = alarms["cpu"]["AlarmActions"]
    subscribed = cloud.client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    same("who is mailed", [each["Endpoint"] for each in subscribed], ["ops@town.test"])
    # As the role cloudwatch writes them.
    by = "AutoScalingGroupName" if size == "scaled" else "InstanceId"
    same("whose disk", [each["Name"] for each in alarms["disk"]["Dimensions"]], [by])
    if size != "scaled":
        found = alarms["certificate-days"]
        same("the certificate", found["MetricName"], "decanter_certificate_not_after_days")


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


@only_with("standard")
def test_what_was_spoilt_is_repaired(cloud):
    ec2, s3 = cloud.client("ec2"), cloud.client("s3")
    database = group(cloud, "standard", "database")["GroupId"]
    ec2.authorize_security_group_ingress(
        GroupId=database, IpProtocol="tcp", FromPort=3306, ToPort=3306, CidrIp="0.0.0.0/0"
    )
    bucket = {"Bucket": "decanter-standard-123456789012"}
    s3.put_bucket_versioning(**bucket, VersioningConfiguration={"Status": "Suspended"})
    host = ec2.describe_instances(Filters=of(cloud, "standard"))["Reservations"][0]["Instances"][0][
        "InstanceId"
    ]
    # What is not said would be forgotten by what stands for AWS.
    others = {"HttpEndpoint": "enabled", "HttpProtocolIpv6": "disabled", "InstanceMetadataTags": "disabled"}
    ec2.modify_instance_metadata_options(InstanceId=host, HttpTokens="optional", **others)
    run = cloud.begin("provision", "standard", "-e", "resize=true").end().succeeded("repaired")
    same("changed", run.counted("changed"), 3)
    (reservation,) = ec2.describe_instances(InstanceIds=[host])["Reservations"]
    kind, state = reservation["Instances"][0]["InstanceType"], reservation["Instances"][0]["State"]["Name"]
    same("the host", (kind, state), ("t3.large", "running"))
    test_who_reaches_what(cloud, "standard")
    test_a_web_host(cloud, "standard")
    same("versions", s3.get_bucket_versioning(**bucket)["Status"], "Enabled")


@only_with("standard")
def test_a_size_does_not_shrink(cloud):
    path = cloud.inventory("standard") / "group_vars/all/aws.yml"
    good = path.read_text()
    path.write_text(good.replace("size: standard", "size: small"))
    run = cloud.begin("provision", "standard").end()
    path.write_text(good)
    assert run.process.returncode != 0, "expected a refusal"
    expected = 'aws.size: found "small", expected standard or scaled, because the environment has database'
    assert expected in " ".join(run.said.split()), f"expected {expected}, got {run.said}"
    same("changed", run.counted("changed"), 0)


def test_a_teardown_is_refused_without_the_name(cloud):
    run = cloud.begin("teardown", SIZES[0], "-e", "confirm=another").end()
    assert run.process.returncode != 0 and "Nothing was destroyed" in " ".join(run.said.split()), run.said


@only_with("standard")
def test_a_teardown_may_be_cut_off_while_the_database_goes(cloud):
    """The next test finishes it."""

    def status() -> str:
        found = cloud.client("rds").describe_db_instances(DBInstanceIdentifier="decanter-standard")
        return found["DBInstances"][0]["DBInstanceStatus"]

    run = cloud.begin("teardown", "standard")
    while status() != "deleting" and run.process.poll() is None:
        time.sleep(0.5)
    run.process.terminate()
    run.end()
    assert run.process.returncode != 0, f"expected that it was cut off, got\n{run.said[-3000:]}"
    same("the database", status(), "deleting")


@only_with("standard")
def test_backups_are_kept(cloud):
    cloud.begin("teardown", "standard").end().succeeded("destroyed but backups")
    left = {
        what: [each for each in found if "decanter-standard" in each]
        for what, found in counted(cloud).items()
        if any("decanter-standard" in each for each in found)
    }
    (snapshot,) = left.pop("rds describe_db_snapshots", ["none"])
    assert snapshot.startswith("decanter-standard-2"), f"expected a last snapshot, got {snapshot}"
    kept = {
        "s3 list_buckets": ["decanter-standard-123456789012"],
        "kms list_aliases": ["alias/decanter-standard"],
    }
    same("what is kept", left, kept)


def test_nothing_is_left(cloud):
    if "scaled" in SIZES:
        # There is something in it, which what stands for AWS is asked for without TLS.
        cloud.client("s3").delete_bucket_policy(Bucket="decanter-scaled-123456789012")
    for _, run in cloud.all_sizes("teardown", SIZES, "-e", "keep=false").items():
        run.succeeded("destroyed")
    for size, run in cloud.all_sizes("teardown", SIZES, "-e", "keep=false").items():
        same(f"{size}: changed in a second run", run.succeeded("destroyed again").counted("changed"), 0)
        assert "nothing is there" in run.said, f"{size}: expected that nothing is left, got {run.said}"
        same(f"{size}: records", records(cloud, size), set())
    same("what is left", counted(cloud), cloud.empty)
