#!/usr/bin/python
from __future__ import annotations

import contextlib
import time
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule

with contextlib.suppress(ImportError):  # AnsibleAWSModule reports a missing boto3
    from botocore.exceptions import BotoCoreError, ClientError

DOCUMENTATION = """
module: aws_redis
short_description: Manage Redis on ElastiCache, encrypted at rest and in transit
description:
  - Manages a replication group, which supports encryption and a password. community.aws.elasticache creates
    single nodes, which support neither.
  - Updates the node type and the number of replicas. Fails if an existing group is not encrypted.
author: [Decanter]
options:
  name: {type: str, required: true, description: The ID of the replication group.}
  region: {type: str, description: The region.}
  state: {type: str, choices: [present, absent], default: present, description: Whether the group exists.}
  type: {type: str, description: The node type.}
  replicas: {type: int, default: 1, description: The number of replicas.}
  password: {type: str, description: The password of a new group.}
  key: {type: str, description: The KMS key that encrypts the data at rest.}
  subnets: {type: str, description: The subnet group.}
  groups: {type: list, elements: str, default: [], description: IDs of the security groups.}
  tags: {type: dict, default: {}, description: Tags of the group.}
  wait_seconds: {type: int, default: 1800, description: Seconds to wait for each change.}
"""

RETURN = """
host: {type: str, returned: when present, description: The address of the primary.}
"""


def find(client: Any, name: str) -> dict[str, Any] | None:
    pages = client.get_paginator("describe_replication_groups").paginate()
    groups = (group for page in pages for group in page["ReplicationGroups"])
    return next((group for group in groups if group["ReplicationGroupId"] == name), None)


def wait(module: AnsibleAWSModule, client: Any, status: str | None) -> dict[str, Any] | None:
    """Wait until the group has a status, or with None until it does not exist; return the group."""
    end = time.monotonic() + module.params["wait_seconds"]
    while True:
        found = find(client, module.params["name"])
        if (found or {}).get("Status") == status:
            return found
        if time.monotonic() > end:
            now = (found or {}).get("Status", "no Redis")
            name, seconds = module.params["name"], module.params["wait_seconds"]
            module.fail_json(
                msg=f"{name}: found {now} after {seconds} s, expected {status or 'no Redis'}. "
                "Remedy: run this again."
            )
        time.sleep(10)


def new_group(options: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of CreateReplicationGroup."""
    nodes = options["replicas"] + 1
    return {
        "ReplicationGroupId": options["name"],
        "ReplicationGroupDescription": "Caches and limits",
        "Engine": "redis",
        "CacheNodeType": options["type"],
        "NumCacheClusters": nodes,
        "AutomaticFailoverEnabled": nodes > 1,
        "MultiAZEnabled": nodes > 1,
        "AtRestEncryptionEnabled": True,
        "KmsKeyId": options["key"],
        "TransitEncryptionEnabled": True,
        "AuthToken": options["password"],
        "CacheSubnetGroupName": options["subnets"],
        "SecurityGroupIds": options["groups"],
        "Tags": [{"Key": key, "Value": value} for key, value in options["tags"].items()],
    }


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "type": {"type": "str"},
            "replicas": {"type": "int", "default": 1},
            "password": {"type": "str", "no_log": True},
            "key": {"type": "str", "no_log": False},
            "subnets": {"type": "str"},
            "groups": {"type": "list", "elements": "str", "default": []},
            "tags": {"type": "dict", "default": {}},
            "wait_seconds": {"type": "int", "default": 1800},
        },
        required_if=[("state", "present", ("type", "key", "subnets"))],
        supports_check_mode=True,
    )
    try:
        run(module)
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg="ElastiCache rejected the request")


def run(module: AnsibleAWSModule) -> None:
    options = module.params
    client = module.client("elasticache")
    found = find(client, options["name"])
    if options["state"] == "absent":
        if found and not module.check_mode:
            # An interrupted run may have started the deletion.
            if found["Status"] != "deleting":
                client.delete_replication_group(ReplicationGroupId=options["name"])
            wait(module, client, None)
        module.exit_json(changed=bool(found))
    if not found:
        if not options["password"]:
            module.fail_json(msg="password: found nothing, expected the password of a new group")
        if not module.check_mode:
            client.create_replication_group(**new_group(options))
            found = wait(module, client, "available")
        module.exit_json(changed=True, host=host(found))
    for setting in ("AtRestEncryptionEnabled", "TransitEncryptionEnabled"):
        if not found.get(setting):
            module.fail_json(
                msg=f"{options['name']}: found {setting} false, expected true. ElastiCache cannot change it."
            )
    changed = False
    if found.get("CacheNodeType", options["type"]) != options["type"]:
        changed = True
        if not module.check_mode:
            wait(module, client, "available")
            name = options["name"]
            client.modify_replication_group(
                ReplicationGroupId=name, CacheNodeType=options["type"], ApplyImmediately=True
            )
    if not module.check_mode:
        found = wait(module, client, "available") or found
    replicas = len(found.get("MemberClusters", [])) - 1
    if replicas != options["replicas"]:
        changed = True
        change_replicas = (
            client.increase_replica_count if replicas < options["replicas"] else client.decrease_replica_count
        )
        if not module.check_mode:
            change_replicas(
                ReplicationGroupId=options["name"],
                NewReplicaCount=options["replicas"],
                ApplyImmediately=True,
            )
            found = wait(module, client, "available")
    module.exit_json(changed=changed, host=host(found))


def host(found: dict[str, Any] | None) -> str:
    nodes = (found or {}).get("NodeGroups") or [{}]
    return nodes[0].get("PrimaryEndpoint", {}).get("Address", "")


if __name__ == "__main__":
    main()
