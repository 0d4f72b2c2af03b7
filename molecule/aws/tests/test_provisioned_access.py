"""Networks, roles and keys of a provisioned environment."""

from __future__ import annotations

import json

import pytest
from environment import SIZES, assert_access, same


@pytest.mark.parametrize("size", SIZES)
def test_who_reaches_what(cloud, size):
    assert_access(cloud, size)


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
