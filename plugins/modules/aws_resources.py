#!/usr/bin/python
from __future__ import annotations

import contextlib
import functools
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.botocore import get_aws_connection_info
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.decanter.stack.plugins.module_utils.aws_queries import kinds

with contextlib.suppress(ImportError):  # AnsibleAWSModule reports a missing boto3
    from botocore.exceptions import BotoCoreError, ClientError

DOCUMENTATION = """
module: aws_resources
short_description: List the AWS resources of an environment in one call
description: Changes nothing.
author: [Decanter]
options:
  environment: {type: str, required: true, description: "The environment, a part of names and tags."}
  region: {type: str, description: The region.}
  dns_zone: {type: str, default: "", description: "A hosted zone, to return its ID and records as well."}
"""

RETURN = """
made:
  description: Lists of resources by kind, each with an `id` and, if a plan compares them, `details`.
  returned: always
  type: dict
account: {type: str, returned: always, description: The ID of the AWS account.}
zones: {type: list, returned: always, description: Names of the region's availability zones.}
dns_zone_id: {type: str, returned: always, description: The ID of the hosted zone; empty if it is missing.}
published: {type: bool, returned: always, description: Whether a deploy has published releases to the bucket.}
cloudfront_networks: {type: str, returned: always, description: The prefix list of CloudFront's servers.}
"""


@functools.cache
def session(profile: str | None) -> Any:
    import boto3

    return boto3.session.Session(profile_name=profile)


@functools.cache
def client_of(module: AnsibleAWSModule, service: str) -> Any:
    """Return a client like module.client, with one session for all, because a session is slow to create."""
    region, endpoint, options = get_aws_connection_info(module)
    config = options.pop("aws_config", None)
    # The only stack is that of CloudFront, which requires us-east-1.
    region = "us-east-1" if service == "cloudformation" else region
    return session(options.pop("profile_name", None)).client(
        service, region_name=region, endpoint_url=endpoint, config=config, **options
    )


def everything(
    module: AnsibleAWSModule, service: str, operation: str, arguments: dict[str, Any], path: str
) -> list[Any]:
    """Return all results of an operation that a JMESPath selects."""
    import jmespath

    client = client_of(module, service)
    if client.can_paginate(operation):
        pages = client.get_paginator(operation).paginate(**arguments)
        return [each for each in pages.search(path) if each]
    return jmespath.search(path, getattr(client, operation)(**arguments)) or []


def tagged_certificates(module: AnsibleAWSModule, found: list[Any], name: str) -> list[Any]:
    """Return the certificates with a tag Name, because certificates have no name of their own."""
    client = client_of(module, "acm")
    wanted = {"Key": "Name", "Value": name}
    return [
        each
        for each in found
        if wanted in client.list_tags_for_certificate(CertificateArn=each["id"])["Tags"]
    ]


def living_keys(module: AnsibleAWSModule, found: list[Any]) -> list[Any]:
    """Return the keys that are not scheduled for deletion. An alias exists until its key is deleted."""
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
    """Return the ID of the public hosted zone of a name, and its records."""
    path = f"HostedZones[?Name=='{zone}.' && !(Config.PrivateZone)].Id"
    ids = everything(module, "route53", "list_hosted_zones", {}, path) if zone else []
    if not ids:
        return "", []
    identifier = ids[0].rsplit("/", 1)[-1]
    path = "ResourceRecordSets[].{id: Name, type: Type, values: ResourceRecords[].Value, alias: AliasTarget}"
    arguments = {"HostedZoneId": identifier}
    return identifier, everything(module, "route53", "list_resource_record_sets", arguments, path)


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
        queries = kinds(name, environment, account)
        edge = queries.pop("edge")
        resources = {kind: everything(module, *query) for kind, query in queries.items()}
        # The role creates the secret before the stack, so without a secret the slow query is not necessary.
        secret = {"id": f"/decanter/{environment}/edge/secret"}
        resources["edge"] = everything(module, *edge) if secret in resources["parameters"] else []
        resources["certificate"] = tagged_certificates(module, resources["certificate"], name)
        resources["key"] = living_keys(module, resources["key"])
        published = is_published(module, resources["bucket"])
        zones = everything(module, "ec2", "describe_availability_zones", {}, "AvailabilityZones[].ZoneName")
        lists = {"Filters": [{"Name": "prefix-list-name", "Values": [CLOUDFRONT]}]}
        path = "PrefixLists[].PrefixListId"
        networks = everything(module, "ec2", "describe_managed_prefix_lists", lists, path)
        dns_zone_id, dns = records(module, module.params["dns_zone"])
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg="The AWS resources cannot be listed")
    module.exit_json(
        changed=False,
        account=account,
        made=resources,
        zones=sorted(zones),
        dns_zone_id=dns_zone_id,
        records=dns,
        published=published,
        cloudfront_networks=networks[0] if networks else "",
    )


CLOUDFRONT = "com.amazonaws.global.cloudfront.origin-facing"
# The last object that a deploy publishes: roles/fleet.
PUBLISHED = "decanter/live.json"

if __name__ == "__main__":
    main()
