"""The database, the logs and the alarms of a provisioned environment."""

from __future__ import annotations

import pytest
from environment import LARGER, SIZES, assert_equal, tag_filters


@pytest.mark.parametrize("size", LARGER)
def test_database_is_private_encrypted_and_requires_tls(cloud, size):
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
        assert_equal(setting, found[setting], expected)
    name = found["DBParameterGroups"][0]["DBParameterGroupName"]
    settings = rds.describe_db_parameters(DBParameterGroupName=name)["Parameters"]
    values = {each["ParameterName"]: each.get("ParameterValue") for each in settings}
    assert_equal("require_secure_transport", values.get("require_secure_transport"), "1")
    subnets = {each["SubnetIdentifier"] for each in found["DBSubnetGroup"]["Subnets"]}
    tables = cloud.client("ec2").describe_route_tables(Filters=tag_filters(cloud, size))["RouteTables"]
    routed = {each["SubnetId"] for table in tables for each in table["Associations"] if "SubnetId" in each}
    assert subnets and not subnets & routed, f"expected no route table for {subnets}, got some for {routed}"


@pytest.mark.parametrize("size", SIZES)
def test_logs_expire_in_30_days_and_errors_are_counted(cloud, size):
    logs, prefix = cloud.client("logs"), f"/decanter/{size}"
    found = logs.describe_log_groups(logGroupNamePrefix=f"{prefix}/")["logGroups"]
    key = cloud.client("kms").describe_key(KeyId=f"alias/decanter-{size}")["KeyMetadata"]["Arn"]
    expected = {f"{prefix}/{each}": (30, key) for each in ("nginx-access", "nginx-error", "journal", "sites")}
    got = {each["logGroupName"]: (each.get("retentionInDays"), each.get("kmsKeyId")) for each in found}
    assert_equal("log groups", got, expected)
    (filtered,) = logs.describe_metric_filters(logGroupName=f"{prefix}/nginx-access")["metricFilters"]
    assert_equal("filter of the metric", filtered["filterPattern"], '{ $.status = "5*" }')
    (metric,) = filtered["metricTransformations"]
    assert_equal(
        "name of the metric",
        (metric["metricNamespace"], metric["metricName"]),
        (f"Decanter/{size}", "responses_5xx"),
    )


@pytest.mark.parametrize("size", SIZES)
def test_alarms_notify_the_operator(cloud, size):
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
    if size == "standard":  # its settings have backup_alarm
        expected |= {"backup-age"}
    assert_equal("alarms", alarms.keys(), expected)
    notice = f"{len(alarms)} CloudWatch alarms"
    plan = (cloud.folder / f"provision-{size}.log").read_text()
    assert notice in plan, f"expected {notice!r} in the plan, got {plan}"
    for name, alarm in alarms.items():
        assert alarm["AlarmActions"] and alarm["OKActions"], (
            f"{name}: expected a topic for both states, got none"
        )
    (topic,) = alarms["cpu"]["AlarmActions"]
    subscribed = cloud.client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert_equal("subscribers", [each["Endpoint"] for each in subscribed], ["ops@town.test"])
    # The role cloudwatch writes the metrics with this dimension.
    dimension = "AutoScalingGroupName" if size == "scaled" else "InstanceId"
    assert_equal(
        "dimensions of the alarm disk", [each["Name"] for each in alarms["disk"]["Dimensions"]], [dimension]
    )
    if size != "scaled":
        found = alarms["certificate-days"]
        assert_equal("metric of the certificate", found["MetricName"], "decanter_certificate_not_after_days")
