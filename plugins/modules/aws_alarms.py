#!/usr/bin/python
from __future__ import annotations

import contextlib
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule

with contextlib.suppress(ImportError):  # AnsibleAWSModule says that boto3 is missing
    from botocore.exceptions import BotoCoreError, ClientError

DOCUMENTATION = """
module: aws_alarms
short_description: The alarms of an environment, all of them in one call
description:
  - Makes what is missing, repairs what was changed, and removes what has the prefix and is not in the list.
author: [Decanter]
options:
  prefix: {type: str, required: true, description: What their names begin with; a hyphen follows.}
  region: {type: str, description: Where they are.}
  topic: {type: str, default: "", description: Whom it tells when one goes off and when it is well.}
  tags: {type: dict, default: {}, description: Their tags.}
  alarms:
    description: The alarms; an empty list removes all.
    type: list
    elements: dict
    required: true
    suboptions:
      name: {type: str, required: true, description: Its name after the prefix.}
      description: {type: str, required: true, description: The description of the alarm.}
      namespace: {type: str, required: true, description: Where its metric is.}
      metric: {type: str, required: true, description: Its metric.}
      of: {type: dict, default: {}, description: The metric's dimensions.}
      statistic: {type: str, default: Average, description: What is made of the values of a period.}
      above: {type: float, description: It goes off above this.}
      below: {type: float, description: It goes off below this.}
      minutes: {type: int, required: true, description: For how long.}
      missing: {type: str, default: missing, description: What no value counts as, in CloudWatch's words.}
"""

RETURN = """
made: {type: list, returned: always, description: Names of alarms that were made or repaired.}
removed: {type: list, returned: always, description: Names of alarms that were removed.}
"""


def wanted(alarm: dict[str, Any], prefix: str, topic: str) -> dict[str, Any]:
    """What CloudWatch is to have, in its own words.

    Whole minutes are one period where they are a minute or an hour and above, else fives of them.
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

    # CloudWatch leaves out what is empty, and what is missing counts as missing.
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
        made = sorted(name for name in alarms if name not in found or not same(found[name], alarms[name]))
        removed = sorted(found.keys() - alarms.keys())
        if not module.check_mode:
            for name in made:
                client.put_metric_alarm(**alarms[name], **({"Tags": tags} if tags else {}))
            if removed:
                client.delete_alarms(AlarmNames=removed)
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg="CloudWatch refuses")
    module.exit_json(changed=bool(made or removed), made=made, removed=removed)


if __name__ == "__main__":
    main()
