"""Security groups, storage, keys and roles of a provisioned environment."""

from __future__ import annotations

import json

import pytest
from environment import SIZES, assert_access, assert_equal


@pytest.mark.parametrize("size", SIZES)
def test_security_groups_allow_only_required_sources(cloud, size):
    assert_access(cloud, size)


@pytest.mark.parametrize("size", SIZES)
def test_storage_is_private_and_encrypted(cloud, size):
    s3, bucket = cloud.client("s3"), f"decanter-{size}-123456789012"
    blocked = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert all(blocked.values()) and len(blocked) == 4, (
        f"expected four settings that block public access, got {blocked}"
    )
    assert_equal("versioning", s3.get_bucket_versioning(Bucket=bucket)["Status"], "Enabled")
    (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert_equal("encryption", rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"], "aws:kms")
    (statement,) = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
    assert_equal(
        "policy of requests without TLS",
        (statement["Effect"], statement["Condition"]),
        ("Deny", {"Bool": {"aws:SecureTransport": "false"}}),
    )
    rules = {each["ID"]: each for each in s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]}
    assert_equal("days until backups expire", rules["backups"]["Expiration"]["Days"], 14)
    assert "Expiration" not in rules["media"], f"expected no expiration of media, got {rules['media']}"
    kms = cloud.client("kms")
    key = kms.describe_key(KeyId=f"alias/decanter-{size}")["KeyMetadata"]["KeyId"]
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"], "expected a rotated key"
    (repository,) = [
        each
        for each in cloud.client("ecr").describe_repositories()["repositories"]
        if each["repositoryName"] == f"decanter/{size}"
    ]
    assert_equal("mutability of image tags", repository["imageTagMutability"], "IMMUTABLE")
    for each in cloud.client("ssm").describe_parameters()["Parameters"]:
        if each["Name"].startswith(f"/decanter/{size}/"):
            assert each["Type"] == "SecureString" and key in each["KeyId"], (
                f"expected a parameter that the key {key} encrypts, got {each}"
            )


# Actions for which AWS supports no resource other than *.
UNRESTRICTED = {
    "autoscaling:DescribeAutoScalingInstances",
    "cloudwatch:PutMetricData",
    "ec2:DescribeTags",
    "ecr:GetAuthorizationToken",
    "route53:GetChange",
    "route53:ListHostedZones",
}


@pytest.mark.parametrize("size", SIZES)
def test_role_of_web_hosts_grants_only_required_access(cloud, size):
    iam, name = cloud.client("iam"), f"decanter-{size}-web"
    assert_equal("inline policies", iam.list_role_policies(RoleName=name)["PolicyNames"], [])
    (attached,) = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    arn = attached["PolicyArn"]
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    document = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
    actions = set()
    for statement in document["Statement"]:
        granted = {statement["Action"]} if isinstance(statement["Action"], str) else set(statement["Action"])
        assert not any("*" in action for action in granted), f"expected named actions, got {granted}"
        resources = statement["Resource"]
        if resources == "*":
            assert granted <= UNRESTRICTED, f"expected named resources for {granted - UNRESTRICTED}"
        else:
            key, zone = "key/", "hostedzone/"
            for each in [resources] if isinstance(resources, str) else resources:
                assert size in each or key in each or zone in each, (
                    f"expected resources of {size} for {granted}, got {each}"
                )
        actions |= granted
    assert_equal(
        "permission to complete lifecycle actions",
        "autoscaling:CompleteLifecycleAction" in actions,
        size == "scaled",
    )
    # Session Manager is permitted only if ssh_networks is empty.
    assert_equal("permission for Session Manager", "ssmmessages:OpenDataChannel" in actions, False)
    trust = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]["Statement"]
    assert_equal(
        "principals of the role", [each["Principal"] for each in trust], [{"Service": "ec2.amazonaws.com"}]
    )
