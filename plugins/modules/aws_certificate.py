#!/usr/bin/python
from __future__ import annotations

import contextlib
import time
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule

with contextlib.suppress(ImportError):  # AnsibleAWSModule says that boto3 is missing
    from botocore.exceptions import BotoCoreError, ClientError

DOCUMENTATION = """
module: aws_certificate
short_description: A certificate that ACM issues and renews, proven in DNS
description:
  - community.aws.acm_certificate imports certificates and cannot ask for one.
  - Asks once, writes the proofs to a hosted zone, and waits until it is issued. Another list of names is
    another certificate; the one before it is left, for a load balancer may be using it.
author: [Decanter]
options:
  name: {type: str, required: true, description: Its tag Name.}
  region: {type: str, description: Where it is.}
  names: {type: list, elements: str, required: true, description: The names that it is for.}
  zone_id: {type: str, required: true, description: Where the proofs are written to, and stay.}
  tags: {type: dict, default: {}, description: Its tags.}
  wait_seconds: {type: int, default: 900, description: For how long it is waited for.}
"""

RETURN = """
arn: {type: str, returned: always, description: The certificate; empty in check mode when there is none yet.}
proofs: {type: list, returned: always, description: The names of the records that prove it.}
"""

SECONDS_BETWEEN = 5


def find(client: Any, name: str, names: list[str]) -> str:
    """The certificate with this tag and these names that is issued, or on its way."""
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
    """The records that prove it, which ACM knows a moment after it was asked."""
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
        module.fail_json_aws(error, msg="ACM or Route 53 refuses")


def run(module: AnsibleAWSModule) -> None:
    options = module.params
    client, names = module.client("acm"), options["names"]
    arn = find(client, options["name"], names)
    asked = not arn
    if asked and module.check_mode:
        module.exit_json(changed=True, arn="", proofs=[])
    if asked:
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
    # Once it is issued its proofs are needed again to renew it, and whoever removed one sees it again.
    written = prove(module, records)
    while status == "PENDING_VALIDATION" and not module.check_mode:
        if time.monotonic() > end:
            module.fail_json(msg=f"{names[0]}: found a certificate that is not issued yet; run again later")
        time.sleep(SECONDS_BETWEEN)
        status = client.describe_certificate(CertificateArn=arn)["Certificate"]["Status"]
    if status not in ("ISSUED", "PENDING_VALIDATION"):
        module.fail_json(msg=f"{names[0]}: found a certificate that is {status}, expected it to be issued")
    module.exit_json(changed=asked or written, arn=arn, proofs=[record["Name"] for record in records])


def prove(module: AnsibleAWSModule, records: list[dict[str, str]]) -> bool:
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
