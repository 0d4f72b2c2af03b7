#!/usr/bin/python
from __future__ import annotations

import contextlib
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule

with contextlib.suppress(ImportError):  # AnsibleAWSModule reports a missing boto3
    from botocore.exceptions import BotoCoreError, ClientError

DOCUMENTATION = """
module: aws_alarms
short_description: Manage all CloudWatch alarms of an environment in one call
description:
  - Creates missing alarms, restores changed ones, and removes those with the prefix that are not in the list.
author: [Decanter]
options:
  prefix: {type: str, required: true, description: The prefix of the names, before a hyphen.}
  region: {type: str, description: The region.}
  topic: {type: str, default: "", description: "SNS topic that is notified of the states ALARM and OK."}
  tags: {type: dict, default: {}, description: Tags of the alarms.}
  alarms:
    description: The alarms; an empty list removes all.
    type: list
    elements: dict
    required: true
    suboptions:
      name: {type: str, required: true, description: The name after the prefix.}
      description: {type: str, required: true, description: The description of the alarm.}
      namespace: {type: str, required: true, description: The namespace of the metric.}
      metric: {type: str, required: true, description: The name of the metric.}
      of: {type: dict, default: {}, description: The dimensions of the metric.}
      statistic: {type: str, default: Average, description: The statistic of the values of a period.}
      above: {type: float, description: The threshold above which the alarm is raised.}
      below: {type: float, description: The threshold below which the alarm is raised.}
      minutes: {type: int, required: true, description: Minutes for which the threshold is exceeded.}
      missing: {type: str, default: missing, description: CloudWatch's TreatMissingData.}
"""

RETURN = """
made: {type: list, returned: always, description: Names of alarms that were created or restored.}
removed: {type: list, returned: always, description: Names of alarms that were removed.}
"""


def wanted(alarm: dict[str, Any], prefix: str, topic: str) -> dict[str, Any]:
    """Return an alarm as arguments of PutMetricAlarm.

    The period is an hour or five minutes if `minutes` is a multiple of it, otherwise a minute.
    """
    minutes, above = alarm["minutes"], alarm["above"] is not None
    period = 60 * (5 if minutes % 5 == 0 and minutes < 60 else 60 if minutes % 60 == 0 else 1)
    return {
        "AlarmName": f"{prefix}-{alarm['name']}",
        "AlarmDescription": alarm["description"],
        "Namespace": alarm["namespace"],
        "MetricName": alarm["metric"],
        "Dimensions": [{"Name": name, "Value": str(value)} for name, value in sorted(alarm["of"].items())],
        "Statistic": alarm["statistic"],
        "ComparisonOperator": "GreaterThanThreshold" if above else "LessThanThreshold",
        "Threshold": float(alarm["above"] if above else alarm["below"]),
        "Period": period,
        "EvaluationPeriods": minutes * 60 // period,
        "TreatMissingData": alarm["missing"],
        "ActionsEnabled": True,
        "AlarmActions": [topic] if topic else [],
        "OKActions": [topic] if topic else [],
    }


def same(found: dict[str, Any], alarm: dict[str, Any]) -> bool:
    def comparable(key: str, value: Any) -> Any:
        return sorted(value, key=lambda each: each["Name"]) if key == "Dimensions" and value else value

    # CloudWatch omits empty fields, and TreatMissingData with the value `missing`.
    defaults = {"TreatMissingData": "missing", "Dimensions": [], "AlarmActions": [], "OKActions": []}
    return all(comparable(key, found.get(key, defaults.get(key))) == value for key, value in alarm.items())


def main() -> None:
    suboptions = {
        "name": {"type": "str", "required": True},
        "description": {"type": "str", "required": True},
        "namespace": {"type": "str", "required": True},
        "metric": {"type": "str", "required": True},
        "of": {"type": "dict", "default": {}},
        "statistic": {"type": "str", "default": "Average"},
        "above": {"type": "float"},
        "below": {"type": "float"},
        "minutes": {"type": "int", "required": True},
        "missing": {"type": "str", "default": "missing"},
    }
    module = AnsibleAWSModule(
        argument_spec={
            "prefix": {"type": "str", "required": True},
            "topic": {"type": "str", "default": ""},
            "tags": {"type": "dict", "default": {}},
            "alarms": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": suboptions,
                "mutually_exclusive": [("above", "below")],
                "required_one_of": [("above", "below")],
            },
        },
        supports_check_mode=True,
    )
    options = module.params
    prefix = options["prefix"]
    alarms = {}
    for each in options["alarms"]:
        alarm = wanted(each, prefix, options["topic"])
        alarms[alarm["AlarmName"]] = alarm
    tags = [{"Key": key, "Value": value} for key, value in options["tags"].items()]
    try:
        client = module.client("cloudwatch")
        pages = client.get_paginator("describe_alarms").paginate(AlarmNamePrefix=f"{prefix}-")
        found = {alarm["AlarmName"]: alarm for page in pages for alarm in page["MetricAlarms"]}
        stale = sorted(name for name in alarms if name not in found or not same(found[name], alarms[name]))
        removed = sorted(found.keys() - alarms.keys())
        if not module.check_mode:
            for name in stale:
                client.put_metric_alarm(**alarms[name], **({"Tags": tags} if tags else {}))
            if removed:
                client.delete_alarms(AlarmNames=removed)
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg="CloudWatch rejected the request")
    module.exit_json(changed=bool(stale or removed), made=stale, removed=removed)


if __name__ == "__main__":
    main()
