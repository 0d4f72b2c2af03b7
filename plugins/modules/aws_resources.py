#!/usr/bin/python
from __future__ import annotations

import contextlib
import functools
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.botocore import get_aws_connection_info
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.decanter.stack.plugins.module_utils.aws_queries import kinds

with contextlib.suppress(ImportError):  # AnsibleAWSModule says that boto3 is missing
    from botocore.exceptions import BotoCoreError, ClientError

DOCUMENTATION = """
module: aws_resources
short_description: What an environment has at AWS, asked for in one call
description: Reads, and changes nothing.
author: [Decanter]
options:
  environment: {type: str, required: true, description: The environment, which its names and tags have.}
  region: {type: str, description: Where it is.}
  dns_zone: {type: str, default: "", description: "A hosted zone, whose id and records are wanted as well."}
"""

RETURN = """
made:
  description: By its kind, each resource's `id` and, where a plan compares them, its `details`.
  returned: always
  type: dict
account: {type: str, returned: always, description: Whose account it is.}
zones: {type: list, returned: always, description: "The region's zones, by name."}
dns_zone_id: {type: str, returned: always, description: The hosted zone's id; empty where there is none.}
published: {type: bool, returned: always, description: Whether the bucket has what a deploy publishes.}
cloudfront_networks: {type: str, returned: always, description: The prefix list of CloudFront's own servers.}
"""


@functools.cache
def session(profile: str | None) -> Any:
    import boto3

    return boto3.session.Session(profile_name=profile)


@functools.cache
def client_of(module: AnsibleAWSModule, service: str) -> Any:
    """As module.client, of one session: what a session reads is most of what a client costs."""
    region, endpoint, options = get_aws_connection_info(module)
    config = options.pop("aws_config", None)
    # The one stack is where CloudFront looks for what is its.
    region = "us-east-1" if service == "cloudformation" else region
    return session(options.pop("profile_name", None)).client(
        service, region_name=region, endpoint_url=endpoint, config=config, **options
    )


def everything(module: AnsibleAWSModule, service: str, ask: str, how: dict[str, Any], path: str) -> list[Any]:
    import jmespath

    client = client_of(module, service)
    if client.can_paginate(ask):
        return [each for each in client.get_paginator(ask).paginate(**how).search(path) if each]
    return jmespath.search(path, getattr(client, ask)(**how)) or []


def tagged_certificates(module: AnsibleAWSModule, found: list[Any], name: str) -> list[Any]:
    """Certificates have no name but a tag."""
    client = client_of(module, "acm")
    wanted = {"Key": "Name", "Value": name}
    return [
        each
        for each in found
        if wanted in client.list_tags_for_certificate(CertificateArn=each["id"])["Tags"]
    ]


def living_keys(module: AnsibleAWSModule, found: list[Any]) -> list[Any]:
    """An alias stays while its key waits for its end."""
    client = client_of(module, "kms")
    states = [client.describe_key(KeyId=each["id"])["KeyMetadata"]["KeyState"] for each in found]
    return [each for each, state in zip(found, states, strict=True) if state != "PendingDeletion"]


def is_published(module: AnsibleAWSModule, buckets: list[Any]) -> bool:
    client = client_of(module, "s3")
    return any(
        client.list_objects_v2(Bucket=bucket["id"], Prefix=PUBLISHED, MaxKeys=1)["KeyCount"] > 0
        for bucket in buckets
    )


def records(module: AnsibleAWSModule, zone: str) -> tuple[str, list[Any]]:
    """The public zone of a name, and what is in it."""
    path = f"HostedZones[?Name=='{zone}.' && !(Config.PrivateZone)].Id"
    ids = everything(module, "route53", "list_hosted_zones", {}, path) if zone else []
    if not ids:
        return "", []
    identifier = ids[0].rsplit("/", 1)[-1]
    path = "ResourceRecordSets[].{id: Name, type: Type, values: ResourceRecords[].Value, alias: AliasTarget}"
    how = {"HostedZoneId": identifier}
    return identifier, everything(module, "route53", "list_resource_record_sets", how, path)


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "environment": {"type": "str", "required": True},
            "dns_zone": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    environment = module.params["environment"]
    name = f"decanter-{environment}"
    try:
        account = client_of(module, "sts").get_caller_identity()["Account"]
        asked = kinds(name, environment, account)
        edge = asked.pop("edge")
        made = {kind: everything(module, *how) for kind, how in asked.items()}
        # Its secret was there before it.
        secret = {"id": f"/decanter/{environment}/edge/secret"}
        made["edge"] = everything(module, *edge) if secret in made["parameters"] else []
        made["certificate"] = tagged_certificates(module, made["certificate"], name)
        made["key"] = living_keys(module, made["key"])
        published = is_published(module, made["bucket"])
        zones = everything(module, "ec2", "describe_availability_zones", {}, "AvailabilityZones[].ZoneName")
        lists = {"Filters": [{"Name": "prefix-list-name", "Values": [CLOUDFRONT]}]}
        path = "PrefixLists[].PrefixListId"
        networks = everything(module, "ec2", "describe_managed_prefix_lists", lists, path)
        dns_zone_id, dns = records(module, module.params["dns_zone"])
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg="What is there cannot be asked")
    module.exit_json(
        changed=False,
        account=account,
        made=made,
        zones=sorted(zones),
        dns_zone_id=dns_zone_id,
        records=dns,
        published=published,
        cloudfront_networks=networks[0] if networks else "",
    )


CLOUDFRONT = "com.amazonaws.global.cloudfront.origin-facing"
# The last thing that a deploy publishes: roles/fleet.
PUBLISHED = "decanter/live.json"

if __name__ == "__main__":
    main()
