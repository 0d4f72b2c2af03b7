"""Has in the account what provisioning would have made there. Reads and says JSON: see prepare.yml."""

from __future__ import annotations

import base64
import json
import sys
from typing import Any

import boto3

BUCKET = "decanter-cloud-lab"


def network(cidr: str) -> tuple[str, str]:
    """A VPC and a subnet."""
    ec2 = boto3.client("ec2")
    vpc = ec2.create_vpc(CidrBlock=cidr)["Vpc"]["VpcId"]
    return vpc, ec2.create_subnet(VpcId=vpc, CidrBlock=cidr)["Subnet"]["SubnetId"]


def instances(addresses: dict[str, str], subnet: str) -> dict[str, str]:
    """The id of each, by its name."""
    ec2, made = boto3.client("ec2"), {}
    image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    for name, address in addresses.items():
        told = {"ImageId": image, "SubnetId": subnet, "PrivateIpAddress": address}
        made[name] = ec2.run_instances(MinCount=1, MaxCount=1, **told)["Instances"][0]["InstanceId"]
    return made


def balanced(vpc: str, subnet: str, serving: list[str]) -> str:
    """A target group, an Auto Scaling group that serves it, and a hook for those to come; its ARN."""
    asked = {"HealthCheckPath": "/.decanter/health/harbour", "HealthCheckProtocol": "HTTPS"}
    elb, scaling, ec2 = boto3.client("elbv2"), boto3.client("autoscaling"), boto3.client("ec2")
    made = elb.create_target_group(Name="cloud-web", Protocol="HTTPS", Port=443, VpcId=vpc, **asked)
    arn = made["TargetGroups"][0]["TargetGroupArn"]
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


def main(told: dict[str, Any]) -> dict[str, Any]:
    region = boto3.session.Session().region_name
    boto3.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": region})
    for name, value in told["parameters"].items():
        boto3.client("ssm").put_parameter(Name=name, Value=value, Type="SecureString")
    kms = boto3.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    encrypted = kms.encrypt(KeyId=key, Plaintext=told["plain"].encode())["CiphertextBlob"]
    vpc, subnet = network(told["network"])
    known = instances(told["addresses"], subnet)
    serving = [identifier for name, identifier in known.items() if name in told["serving"]]
    return {
        "aws_made": {
            **{"region": region, "bucket": BUCKET, "key": key, "database_host": told["database_host"]},
            "targets": balanced(vpc, subnet, serving),
        },
        "scenario_made": {
            **{"endpoint": told["endpoint"], "network": told["network"], "instances": known},
            "encrypted": base64.b64encode(encrypted).decode(),
        },
    }


if __name__ == "__main__":
    print(json.dumps(main(json.load(sys.stdin))))
