"""The prices of an environment at AWS, and the plan of its changes."""

from __future__ import annotations

import json
import re
from typing import Any

import jinja2
import pytest
import yaml
from ansible_collections.decanter.stack.plugins.filter.aws import (
    aws_farewell,
    aws_plan,
    aws_records,
    aws_size_errors,
    aws_subnet,
)
from ansible_collections.decanter.stack.plugins.filter.aws_check import aws_with_defaults
from ansible_collections.decanter.stack.plugins.module_utils.aws_queries import kinds
from repository import ROOT
from test_aws_check import settings

ROLE = ROOT / "roles/aws"
PRICES = yaml.safe_load((ROLE / "vars/main/prices.yml").read_text())["__aws_prices"]
KINDS = list(kinds("", "", ""))
NOTHING: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}


ALARMS = [
    {"metric": metric, "namespace": namespace}
    for metric, namespace in (
        ("CPUUtilization", "AWS/EC2"),
        ("StatusCheckFailed", "AWS/EC2"),
        ("disk_used_percent", "Decanter/staging"),
        ("responses_5xx", "Decanter/staging"),
        ("responses_5xx", "Decanter/staging"),
    )
]


def plan(size: str, resources: dict[str, Any] | None = None, resize: bool = False, **more: Any) -> list[str]:
    return aws_plan(
        aws_with_defaults(settings(size, **more)), NOTHING | (resources or {}), PRICES, ALARMS, resize
    )


@pytest.mark.parametrize(
    ("size", "least", "most"), [("small", 18, 35), ("standard", 40, 70), ("scaled", 110, 180)]
)
def test_size_costs_the_sum_of_its_parts(size, least, most):
    lines = plan(size, region="us-east-1")
    total = float(lines[-1].split()[2])
    assert least < total < most, lines
    each = [float(found[1]) for line in lines[:-1] if (found := re.search(r"([\d.]+) USD", line))]
    assert sum(each) == pytest.approx(total, abs=0.05), f"expected the sum of the parts, got {lines}"
    assert all(line.startswith("create") for line in lines[:-1]), lines


def test_price_depends_on_the_region():
    near, far = (float(plan("small", region=region)[-1].split()[2]) for region in ("us-east-1", "sa-east-1"))
    assert far == pytest.approx(near * 1.6, rel=0.01)
    assert "because the table has no me-south-1" in plan("small", region="me-south-1")[-1]


def test_type_without_a_price_is_reported():
    lines = plan("small", web={"type": "x9.huge"})
    assert "price unknown  web host (x9.huge, 20 GiB)" in "\n".join(lines), lines
    assert "plus parts without a price" in lines[-1]


def test_alarms_and_metrics_are_counted():
    (line,) = [line for line in plan("small", region="us-east-1") if "alarms" in line]
    assert "1.10 USD  5 CloudWatch alarms, 2 metrics of each host" in line, line


def host(identifier: str, kind: str, group: str | None = None) -> dict[str, Any]:
    return {"id": identifier, "group": group, "details": {"type": kind}}


def test_web_host_changes_its_type_only_with_resize():
    resources = {"instances": [host("i-1", "t3.micro")]}
    lines = plan("small", resources, web={"type": "t3.large"}, region="us-east-1")
    assert any(line.startswith("keep") and "web host (t3.micro" in line for line in lines), lines
    (line,) = [line for line in lines if line.startswith("leave")]
    assert line.endswith("instance i-1, t3.micro; RESIZE=1 stops it and changes it to t3.large"), line
    resized = plan("small", resources, True, web={"type": "t3.large"}, region="us-east-1")
    (line,) = [line for line in resized if "web host" in line]
    assert line.startswith("change") and line.endswith(
        ": type t3.micro to t3.large, with a stop of the instance"
    )
    assert not any(line.startswith("leave") for line in resized), resized
    assert float(resized[-1].split()[2]) > float(lines[-1].split()[2]), (
        f"expected a higher price for the larger type, got {lines[-1]} and {resized[-1]}"
    )


def test_instance_of_a_group_is_left_until_its_replacement():
    resources = {"instances": [host("i-2", "t3.micro", "decanter-staging-web")]}
    (line,) = [line for line in plan("scaled", resources) if line.startswith("leave")]
    assert line.endswith("instance i-2, t3.micro; the Auto Scaling group replaces it with t3.small"), line


def test_edge_has_its_price_and_is_left_when_removed():
    (line,) = [line for line in plan("scaled", edge=True, region="us-east-1") if "CloudFront" in line]
    assert line.startswith("create") and " 7.00 USD" in line, line
    resources = {"edge": [{"id": "decanter-staging-edge", "name": "d1.cloudfront.net"}]}
    (line,) = [line for line in plan("scaled", resources) if line.startswith("leave")]
    assert "decanter-staging-edge in us-east-1" in line, line
    (line,) = [line for line in plan("scaled", resources, edge=True) if "CloudFront" in line]
    assert line.startswith("keep"), line


DATABASE = {"id": "d", "details": {"storage": 40, "version": "8.4.5"}}


@pytest.mark.parametrize(
    ("size", "existing", "more", "expected"),
    [
        ("small", {}, {}, []),
        ("standard", {"instances": [host("i-1", "t3.small")]}, {}, []),
        ("scaled", {"database": [DATABASE]}, {"database": {"storage": 40}}, []),
        (
            "small",
            {"database": [DATABASE]},
            {},
            [
                'aws.size: found "small", expected standard or scaled, because the environment has '
                "database d. An environment cannot shrink."
            ],
        ),
        (
            "small",
            {"database": [DATABASE], "balancer": [{"id": "b"}], "redis": [{"id": "r"}]},
            {},
            [
                'aws.size: found "small", expected scaled, because the environment has '
                "balancer b and redis r. An environment cannot shrink."
            ],
        ),
        (
            "standard",
            {"database": [DATABASE]},
            {"database": {"storage": 30, "version": "8.0"}},
            [
                "aws.database.storage: found 30, expected 40 or more, because the storage of an RDS "
                "instance cannot shrink",
                'aws.database.version: found "8.0", expected the version of the database, '
                "8.4.5. Decanter does not upgrade it.",
            ],
        ),
    ],
)
def test_environment_cannot_shrink(size, existing, more, expected):
    found = aws_size_errors(aws_with_defaults(settings(size, **more)), NOTHING | existing)
    assert found == expected, f"expected {expected}, got {found}"


def test_existing_resource_is_kept_or_changed():
    database = {"id": "d", "details": {"class": "db.t4g.micro", "storage": 20, "multi_az": False}}
    lines = plan("standard", {"database": [database], "key": [{"id": "k"}]})
    assert next(line for line in lines if "KMS" in line).startswith("keep"), lines
    (line,) = [line for line in lines if "RDS" in line]
    assert line.startswith("change") and line.endswith(": class db.t4g.micro to db.t4g.small"), line


def test_resources_of_another_size_are_listed():
    hosts = [host("i-1", "t3.small"), host("i-2", "t3.small", "decanter-staging-web")]
    resources = {"instances": hosts, "addresses": [{"id": "198.18.0.1"}]}
    found = [line.split()[1:3] for line in plan("scaled", resources) if line.startswith("leave")]
    assert found == [["instance", "i-1,"], ["address", "198.18.0.1,"]], found


def test_teardown_keeps_backups_with_keep():
    resources = NOTHING | {
        "database": [{"id": "d"}],
        "bucket": [{"id": "b"}],
        "key": [{"id": "k"}],
        "network": [{"id": "v"}],
    }
    kept = aws_farewell(resources, keep=True)
    assert {"keep    bucket b", "keep    key k", "keep    a final snapshot of the database"} <= set(kept), (
        kept
    )
    assert {"destroy database d", "destroy network v"} <= set(kept), kept
    assert all(line.startswith("destroy") for line in aws_farewell(resources, keep=False))
    assert aws_farewell(NOTHING, keep=True) == []


def test_only_records_of_the_environment_are_selected():
    def record(name: str, kind: str = "A", values: Any = None, alias: Any = None) -> dict[str, Any]:
        return {"id": name, "type": kind, "values": values, "alias": alias, "ttl": 300}

    resources = NOTHING | {
        "addresses": [{"id": "198.18.0.1"}],
        "balancer": [{"id": "arn", "name": "decanter-1.elb.amazonaws.com"}],
    }
    own = [
        record("town.test.", values=["198.18.0.1"]),
        record("www.town.test.", alias={"DNSName": "dualstack.Decanter-1.elb.amazonaws.com."}),
    ]
    others = [
        record("town.test.", "MX", ["10 mail.town.test."]),
        record("moved.town.test.", values=["198.18.9.9"]),
        record("elsewhere.town.test.", values=["198.18.0.1"]),
    ]
    names = ["town.test", "www.town.test", "moved.town.test"]
    assert aws_records([*own, *others], names, resources) == own


def test_subnet_is_a_sixteenth_of_the_network():
    assert [aws_subnet("10.20.0.0/16", part) for part in (0, 1, 8)] == [
        "10.20.0.0/20",
        "10.20.16.0/20",
        "10.20.128.0/20",
    ]


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("networks", [["198.18.5.0/24"], []])
@pytest.mark.parametrize("dns", [True, False])
def test_policy_of_a_web_host_names_its_resources(dns, networks, scaled):
    template = jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(
        (ROLE / "templates/web.json.j2").read_text()
    )
    policy = json.loads(
        template.render(
            aws_settings={"region": "eu-west-1", "ssh_networks": networks} | ({"dns": {}} if dns else {}),
            aws_environment="staging",
            __aws_found={"account": "1", "dns_zone_id": "Z1"},
            __aws_key={"key_arn": "arn:aws:kms:eu-west-1:1:key/k"},
            __aws_name="decanter-staging",
            __aws_scaled=scaled,
            __aws_published="decanter",
            __aws_parameters="/decanter/staging",
            __aws_bucket="decanter-staging-1",
            __aws_log_group="/decanter/staging",
            __aws_metrics="Decanter/staging",
        )
    )
    # Actions that AWS does not limit to a resource.
    anywhere = {
        "autoscaling:DescribeAutoScalingInstances",
        "cloudwatch:PutMetricData",
        "ec2:DescribeTags",
        "ecr:GetAuthorizationToken",
        "route53:GetChange",
        "route53:ListHostedZones",
        "ssm:UpdateInstanceInformation",
        *(f"ssmmessages:{verb}{kind}Channel" for verb in ("Create", "Open") for kind in ("Control", "Data")),
    }
    allowed: dict[str, set[str]] = {}
    for statement in policy["Statement"]:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        assert not any("*" in action for action in actions), f"expected actions by name, got {actions}"
        if statement["Resource"] == "*":
            assert set(actions) <= anywhere, f"expected resources by name for {set(actions) - anywhere}"
        for action in actions:
            allowed.setdefault(action, set()).add(str(statement["Resource"]))
    backups = {
        action
        for action, resource_names in allowed.items()
        if any("/backups/" in each for each in resource_names)
    }
    assert backups == {"s3:PutObject", "s3:AbortMultipartUpload"}, backups
    for action, expected in {
        "ssmmessages:OpenDataChannel": not networks,
        "autoscaling:CompleteLifecycleAction": scaled,
    }.items():
        assert (action in allowed) is expected, f"expected {action} {expected}, got {sorted(allowed)}"
    dns_statements = json.loads(
        (ROLE / "../../docs/route53-policy.json").read_text().replace("ZONE-ID", "Z1")
    )["Statement"]
    assert (policy["Statement"][-2:] == dns_statements) is dns, (
        "expected the statements of docs/route53-policy.json"
    )
