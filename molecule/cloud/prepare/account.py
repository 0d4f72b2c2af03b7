"""Create the resources of an AWS account in the stub. Reads settings and prints resources as JSON."""

from __future__ import annotations

import base64
import json
import sys
from typing import Any

import boto3

BUCKET = "decanter-cloud-lab"


def create_network(cidr: str) -> tuple[str, str]:
    """Create a VPC and a subnet. Return their IDs."""
    ec2 = boto3.client("ec2")
    vpc = ec2.create_vpc(CidrBlock=cidr)["Vpc"]["VpcId"]
    return vpc, ec2.create_subnet(VpcId=vpc, CidrBlock=cidr)["Subnet"]["SubnetId"]


def run_instances(addresses: dict[str, str], subnet: str) -> dict[str, str]:
    """Run an instance for each address. Return the IDs by name."""
    ec2, identifiers = boto3.client("ec2"), {}
    image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    for name, address in addresses.items():
        options = {"ImageId": image, "SubnetId": subnet, "PrivateIpAddress": address}
        identifiers[name] = ec2.run_instances(MinCount=1, MaxCount=1, **options)["Instances"][0]["InstanceId"]
    return identifiers


def create_target_group(vpc: str, subnet: str, serving: list[str]) -> str:
    """Create a target group, and its Auto Scaling group with a launch hook. Return the target group's ARN."""
    health_check = {"HealthCheckPath": "/.decanter/health/harbour", "HealthCheckProtocol": "HTTPS"}
    elb, scaling, ec2 = boto3.client("elbv2"), boto3.client("autoscaling"), boto3.client("ec2")
    created = elb.create_target_group(Name="cloud-web", Protocol="HTTPS", Port=443, VpcId=vpc, **health_check)
    arn = created["TargetGroups"][0]["TargetGroupArn"]
    image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    ec2.create_launch_template(LaunchTemplateName="cloud-web", LaunchTemplateData={"ImageId": image})
    scaling.create_auto_scaling_group(
        AutoScalingGroupName="cloud-web",
        MinSize=0,
        MaxSize=9,
        DesiredCapacity=0,
        VPCZoneIdentifier=subnet,
        TargetGroupARNs=[arn],
        LaunchTemplate={"LaunchTemplateName": "cloud-web"},
    )
    scaling.attach_instances(AutoScalingGroupName="cloud-web", InstanceIds=serving)
    scaling.put_lifecycle_hook(
        LifecycleHookName="ready",
        AutoScalingGroupName="cloud-web",
        LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING",
        DefaultResult="ABANDON",
    )
    return arn


def main(settings: dict[str, Any]) -> dict[str, Any]:
    region = boto3.session.Session().region_name
    boto3.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": region})
    for name, value in settings["parameters"].items():
        boto3.client("ssm").put_parameter(Name=name, Value=value, Type="SecureString")
    kms = boto3.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    encrypted = kms.encrypt(KeyId=key, Plaintext=settings["plaintext"].encode())["CiphertextBlob"]
    vpc, subnet = create_network(settings["network"])
    identifiers = run_instances(settings["addresses"], subnet)
    serving = [identifier for name, identifier in identifiers.items() if name in settings["serving"]]
    return {
        "aws_made": {
            **{"region": region, "bucket": BUCKET, "key": key, "database_host": settings["database_host"]},
            "targets": create_target_group(vpc, subnet, serving),
        },
        "scenario_made": {
            **{"endpoint": settings["endpoint"], "network": settings["network"], "instances": identifiers},
            "encrypted": base64.b64encode(encrypted).decode(),
        },
    }


if __name__ == "__main__":
    print(json.dumps(main(json.load(sys.stdin))))
