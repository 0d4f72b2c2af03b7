"""Provision a changed environment again. The run repairs it, and does not make it smaller."""

from __future__ import annotations

from environment import assert_access, assert_equal, assert_web_host, only_with, security_group, tag_filters


@only_with("standard")
def test_provision_repairs_changed_resources(cloud):
    ec2, s3 = cloud.client("ec2"), cloud.client("s3")
    database = security_group(cloud, "standard", "database")["GroupId"]
    ec2.authorize_security_group_ingress(
        GroupId=database, IpProtocol="tcp", FromPort=3306, ToPort=3306, CidrIp="0.0.0.0/0"
    )
    bucket = {"Bucket": "decanter-standard-123456789012"}
    s3.put_bucket_versioning(**bucket, VersioningConfiguration={"Status": "Suspended"})
    host = ec2.describe_instances(Filters=tag_filters(cloud, "standard"))["Reservations"][0]["Instances"][0][
        "InstanceId"
    ]
    # moto resets all options that the request omits.
    other_options = {
        "HttpEndpoint": "enabled",
        "HttpProtocolIpv6": "disabled",
        "InstanceMetadataTags": "disabled",
    }
    ec2.modify_instance_metadata_options(InstanceId=host, HttpTokens="optional", **other_options)
    run = cloud.begin("provision", "standard", "-e", "resize=true").wait().assert_success("repaired")
    assert_equal("changed tasks", run.count("changed"), 3)
    (reservation,) = ec2.describe_instances(InstanceIds=[host])["Reservations"]
    instance_type, state = (
        reservation["Instances"][0]["InstanceType"],
        reservation["Instances"][0]["State"]["Name"],
    )
    assert_equal("type and state of the host", (instance_type, state), ("t3.large", "running"))
    assert_access(cloud, "standard")
    assert_web_host(cloud, "standard")
    assert_equal("versioning", s3.get_bucket_versioning(**bucket)["Status"], "Enabled")


@only_with("standard")
def test_provision_rejects_a_smaller_size(cloud):
    path = cloud.inventory("standard") / "group_vars/all/aws.yml"
    good = path.read_text()
    path.write_text(good.replace("size: standard", "size: small"))
    run = cloud.begin("provision", "standard").wait()
    path.write_text(good)
    assert run.process.returncode != 0, "expected a failed run"
    expected = 'aws.size: found "small", expected standard or scaled, because the environment has database'
    assert expected in " ".join(run.output.split()), f"expected {expected}, got {run.output}"
    assert_equal("changed tasks", run.count("changed"), 0)
