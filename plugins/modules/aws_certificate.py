#!/usr/bin/python
from __future__ import annotations

import contextlib
import time
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule

with contextlib.suppress(ImportError):  # AnsibleAWSModule reports a missing boto3
    from botocore.exceptions import BotoCoreError, ClientError

DOCUMENTATION = """
module: aws_certificate
short_description: Request a certificate of ACM, validated by DNS
description:
  - community.aws.acm_certificate imports certificates, but cannot request them.
  - Requests the certificate once, writes the validation records to a hosted zone, and waits until ACM has
    issued it. A new list of names requires a new certificate. The previous certificate stays, because a load
    balancer may use it.
author: [Decanter]
options:
  name: {type: str, required: true, description: The tag Name of the certificate.}
  region: {type: str, description: The region.}
  names: {type: list, elements: str, required: true, description: The host names of the certificate.}
  zone_id: {type: str, required: true, description: The hosted zone of the validation records.}
  tags: {type: dict, default: {}, description: Tags of the certificate.}
  wait_seconds: {type: int, default: 900, description: Seconds to wait for the certificate.}
"""

RETURN = """
arn: {type: str, returned: always, description: The ARN; empty in check mode for a new certificate.}
proofs: {type: list, returned: always, description: The names of the validation records.}
"""

SECONDS_BETWEEN = 5


def find(client: Any, name: str, names: list[str]) -> str:
    """Return the ARN of the certificate with this tag and these names, issued or pending; else ""."""
    pages = client.get_paginator("list_certificates").paginate(
        CertificateStatuses=["PENDING_VALIDATION", "ISSUED"]
    )
    for page in pages:
        for each in page["CertificateSummaryList"]:
            arn = each["CertificateArn"]
            tags = client.list_tags_for_certificate(CertificateArn=arn)["Tags"]
            if {"Key": "Name", "Value": name} in tags:
                found = client.describe_certificate(CertificateArn=arn)["Certificate"]
                if set(found.get("SubjectAlternativeNames", [])) == set(names):
                    return arn
    return ""


def proofs(client: Any, arn: str, end: float) -> list[dict[str, str]]:
    """Return the validation records, which ACM creates shortly after the request."""
    while True:
        options = client.describe_certificate(CertificateArn=arn)["Certificate"]["DomainValidationOptions"]
        records = [option["ResourceRecord"] for option in options if "ResourceRecord" in option]
        if len(records) == len(options) or time.monotonic() > end:
            return list({record["Name"]: record for record in records}.values())
        time.sleep(SECONDS_BETWEEN)


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "names": {"type": "list", "elements": "str", "required": True},
            "zone_id": {"type": "str", "required": True},
            "tags": {"type": "dict", "default": {}},
            "wait_seconds": {"type": "int", "default": 900},
        },
        supports_check_mode=True,
    )
    try:
        run(module)
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg="ACM or Route 53 rejected the request")


def run(module: AnsibleAWSModule) -> None:
    options = module.params
    client, names = module.client("acm"), options["names"]
    arn = find(client, options["name"], names)
    is_new = not arn
    if is_new and module.check_mode:
        module.exit_json(changed=True, arn="", proofs=[])
    if is_new:
        tags = [{"Key": key, "Value": value} for key, value in options["tags"].items()]
        others = {"SubjectAlternativeNames": names[1:]} if names[1:] else {}
        arn = client.request_certificate(
            DomainName=names[0],
            **others,
            ValidationMethod="DNS",
            Tags=[*tags, {"Key": "Name", "Value": options["name"]}],
        )["CertificateArn"]
    end = time.monotonic() + options["wait_seconds"]
    records = proofs(client, arn, end)
    status = client.describe_certificate(CertificateArn=arn)["Certificate"]["Status"]
    # ACM reads the validation records again for each renewal, so removed ones are restored.
    written = prove(module, records)
    while status == "PENDING_VALIDATION" and not module.check_mode:
        if time.monotonic() > end:
            module.fail_json(
                msg=f"{names[0]}: ACM has not issued the certificate within {options['wait_seconds']} s. "
                "Remedy: run this again later."
            )
        time.sleep(SECONDS_BETWEEN)
        status = client.describe_certificate(CertificateArn=arn)["Certificate"]["Status"]
    if status not in ("ISSUED", "PENDING_VALIDATION"):
        module.fail_json(msg=f"{names[0]}: found a certificate with the status {status}, expected ISSUED")
    module.exit_json(changed=is_new or written, arn=arn, proofs=[record["Name"] for record in records])


def prove(module: AnsibleAWSModule, records: list[dict[str, str]]) -> bool:
    """Write missing validation records; return whether one was missing."""
    client, zone = module.client("route53"), module.params["zone_id"]
    pages = client.get_paginator("list_resource_record_sets").paginate(HostedZoneId=zone)
    there = {
        record["Name"].rstrip("."): [each["Value"].rstrip(".") for each in record.get("ResourceRecords", [])]
        for page in pages
        for record in page["ResourceRecordSets"]
        if record["Type"] == "CNAME"
    }
    missing = [each for each in records if there.get(each["Name"].rstrip(".")) != [each["Value"].rstrip(".")]]
    if missing and not module.check_mode:
        changes = [
            {
                "Action": "UPSERT",
                "ResourceRecordSet": {
                    "Name": each["Name"],
                    "Type": each["Type"],
                    "TTL": 300,
                    "ResourceRecords": [{"Value": each["Value"]}],
                },
            }
            for each in missing
        ]
        client.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": changes})
    return bool(missing)


if __name__ == "__main__":
    main()
