"""A run repairs an environment, and does not make it smaller."""

from __future__ import annotations

from environment import assert_access, assert_web_host, group, of, only_with, same


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
    assert_access(cloud, "standard")
    assert_web_host(cloud, "standard")
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
