#!/usr/bin/python
from __future__ import annotations

import contextlib
import time
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule

with contextlib.suppress(ImportError):  # AnsibleAWSModule says that boto3 is missing
    from botocore.exceptions import BotoCoreError, ClientError

DOCUMENTATION = """
module: aws_redis
short_description: Redis on ElastiCache, encrypted at rest and on its way
description:
  - A replication group, which is what can be encrypted and have a password; community.aws.elasticache makes
    single nodes that can have neither.
  - Its node type and the number of replicas follow the options. One without encryption is refused.
author: [Decanter]
options:
  name: {type: str, required: true, description: Its name.}
  region: {type: str, description: Where it is.}
  state: {type: str, choices: [present, absent], default: present, description: Whether it is there.}
  type: {type: str, description: Its node type.}
  replicas: {type: int, default: 1, description: How many stand by.}
  password: {type: str, description: The password of a new one.}
  key: {type: str, description: The KMS key of what it keeps.}
  subnets: {type: str, description: Its subnet group.}
  groups: {type: list, elements: str, default: [], description: Its security groups.}
  tags: {type: dict, default: {}, description: Its tags.}
  wait_seconds: {type: int, default: 1800, description: For how long it is waited for.}
"""

RETURN = """
host: {type: str, returned: when present, description: Where the primary answers.}
"""


def find(client: Any, name: str) -> dict[str, Any] | None:
    pages = client.get_paginator("describe_replication_groups").paginate()
    groups = (group for page in pages for group in page["ReplicationGroups"])
    return next((group for group in groups if group["ReplicationGroupId"] == name), None)


def wait(module: AnsibleAWSModule, client: Any, status: str | None) -> dict[str, Any] | None:
    """The group once it has the status; none once it is gone."""
    end = time.monotonic() + module.params["wait_seconds"]
    while True:
        found = find(client, module.params["name"])
        if (found or {}).get("Status") == status:
            return found
        if time.monotonic() > end:
            now = (found or {}).get("Status", "no Redis")
            module.fail_json(msg=f"found {now}, expected {status or 'none'} by now; run again")
        time.sleep(10)


def made(options: dict[str, Any]) -> dict[str, Any]:
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
        module.fail_json_aws(error, msg="ElastiCache refuses")


def run(module: AnsibleAWSModule) -> None:
    options = module.params
    client = module.client("elasticache")
    found = find(client, options["name"])
    if options["state"] == "absent":
        if found and not module.check_mode:
            # What a run that was cut off has begun may be going on.
            if found["Status"] != "deleting":
                client.delete_replication_group(ReplicationGroupId=options["name"])
            wait(module, client, None)
        module.exit_json(changed=bool(found))
    if not found:
        if not options["password"]:
            module.fail_json(msg="password: found nothing, expected that of a new one")
        if not module.check_mode:
            client.create_replication_group(**made(options))
            found = wait(module, client, "available")
        module.exit_json(changed=True, host=host(found))
    for setting in ("AtRestEncryptionEnabled", "TransitEncryptionEnabled"):
        if not found.get(setting):
            module.fail_json(
                msg=f"{options['name']}: found {setting} false, expected true; it cannot be changed"
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
        ask = (
            client.increase_replica_count if replicas < options["replicas"] else client.decrease_replica_count
        )
        if not module.check_mode:
            ask(
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
