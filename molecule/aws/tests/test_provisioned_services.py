"""The database, the logs and the alarms of a provisioned environment."""

from __future__ import annotations

import pytest
from environment import LARGER, SIZES, of, same


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
