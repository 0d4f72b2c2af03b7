"""What an environment at AWS would cost, and what a run would do to it."""

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


def plan(size: str, made: dict[str, Any] | None = None, resize: bool = False, **more: Any) -> list[str]:
    return aws_plan(aws_with_defaults(settings(size, **more)), NOTHING | (made or {}), PRICES, ALARMS, resize)


@pytest.mark.parametrize(
    ("size", "least", "most"), [("small", 18, 35), ("standard", 40, 70), ("scaled", 110, 180)]
)
def test_a_size_has_its_price(size, least, most):
    lines = plan(size, region="us-east-1")
    total = float(lines[-1].split()[2])
    assert least < total < most, lines
    each = [float(found[1]) for line in lines[:-1] if (found := re.search(r"([\d.]+) USD", line))]
    assert sum(each) == pytest.approx(total, abs=0.05), f"expected the sum of the parts, got {lines}"
    assert all(line.startswith("create") for line in lines[:-1]), lines


def test_another_region_costs_more_and_an_unknown_one_is_said():
    home, far = (float(plan("small", region=region)[-1].split()[2]) for region in ("us-east-1", "sa-east-1"))
    assert far == pytest.approx(home * 1.6, rel=0.01)
    assert "because the table has no me-south-1" in plan("small", region="me-south-1")[-1]


def test_a_type_without_a_price_is_said():
    lines = plan("small", web={"type": "x9.huge"})
    assert "price unknown  web host (x9.huge, 20 GiB)" in "\n".join(lines), lines
    assert "plus parts without a price" in lines[-1]


def test_alarms_and_what_hosts_write_are_counted():
    (line,) = [line for line in plan("small", region="us-east-1") if "alarms" in line]
    assert "1.10 USD  5 CloudWatch alarms, 2 metrics of each host" in line, line


def host(identifier: str, kind: str, group: str | None = None) -> dict[str, Any]:
    return {"id": identifier, "group": group, "details": {"type": kind}}


def test_a_web_host_keeps_its_type_unless_it_is_told_otherwise():
    made = {"instances": [host("i-1", "t3.micro")]}
    lines = plan("small", made, web={"type": "t3.large"}, region="us-east-1")
    assert any(line.startswith("keep") and "web host (t3.micro" in line for line in lines), lines
    (line,) = [line for line in lines if line.startswith("leave")]
    assert line.endswith("instance i-1, t3.micro; RESIZE=1 stops it and changes it to t3.large"), line
    resized = plan("small", made, True, web={"type": "t3.large"}, region="us-east-1")
    (line,) = [line for line in resized if "web host" in line]
    assert line.startswith("change") and line.endswith(
        ": type t3.micro to t3.large, with a stop of the instance"
    )
    assert not any(line.startswith("leave") for line in resized), resized
    assert float(resized[-1].split()[2]) > float(lines[-1].split()[2]), (
        f"expected that a larger one costs more, got {lines[-1]} and {resized[-1]}"
    )


def test_a_member_of_a_group_is_said_to_stay_until_it_is_replaced():
    made = {"instances": [host("i-2", "t3.micro", "decanter-staging-web")]}
    (line,) = [line for line in plan("scaled", made) if line.startswith("leave")]
    assert line.endswith("instance i-2, t3.micro; the Auto Scaling group replaces it with t3.small"), line


def test_an_edge_has_its_price_and_is_not_forgotten():
    (line,) = [line for line in plan("scaled", edge=True, region="us-east-1") if "CloudFront" in line]
    assert line.startswith("create") and " 7.00 USD" in line, line
    made = {"edge": [{"id": "decanter-staging-edge", "name": "d1.cloudfront.net"}]}
    (line,) = [line for line in plan("scaled", made) if line.startswith("leave")]
    assert "decanter-staging-edge in us-east-1" in line, line
    (line,) = [line for line in plan("scaled", made, edge=True) if "CloudFront" in line]
    assert line.startswith("keep"), line


DATABASE = {"id": "d", "details": {"storage": 40, "version": "8.4.5"}}


@pytest.mark.parametrize(
    ("size", "there", "more", "expected"),
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
def test_nothing_shrinks(size, there, more, expected):
    found = aws_size_errors(aws_with_defaults(settings(size, **more)), NOTHING | there)
    assert found == expected, f"expected {expected}, got {found}"


def test_what_is_there_is_kept_or_changed():
    database = {"id": "d", "details": {"class": "db.t4g.micro", "storage": 20, "multi_az": False}}
    lines = plan("standard", {"database": [database], "key": [{"id": "k"}]})
    assert next(line for line in lines if "KMS" in line).startswith("keep"), lines
    (line,) = [line for line in lines if "RDS" in line]
    assert line.startswith("change") and line.endswith(": class db.t4g.micro to db.t4g.small"), line


def test_what_another_size_left_is_named():
    hosts = [host("i-1", "t3.small"), host("i-2", "t3.small", "decanter-staging-web")]
    made = {"instances": hosts, "addresses": [{"id": "198.18.0.1"}]}
    found = [line.split()[1:3] for line in plan("scaled", made) if line.startswith("leave")]
    assert found == [["instance", "i-1,"], ["address", "198.18.0.1,"]], found


def test_a_teardown_keeps_backups_unless_it_is_told_otherwise():
    made = NOTHING | {
        "database": [{"id": "d"}],
        "bucket": [{"id": "b"}],
        "key": [{"id": "k"}],
        "network": [{"id": "v"}],
    }
    kept = aws_farewell(made, keep=True)
    assert {"keep    bucket b", "keep    key k", "keep    a final snapshot of the database"} <= set(kept), (
        kept
    )
    assert {"destroy database d", "destroy network v"} <= set(kept), kept
    assert all(line.startswith("destroy") for line in aws_farewell(made, keep=False))
    assert aws_farewell(NOTHING, keep=True) == []


def test_records_of_others_are_left():
    def record(name: str, kind: str = "A", values: Any = None, alias: Any = None) -> dict[str, Any]:
        return {"id": name, "type": kind, "values": values, "alias": alias, "ttl": 300}

    made = NOTHING | {
        "addresses": [{"id": "198.18.0.1"}],
        "balancer": [{"id": "arn", "name": "decanter-1.elb.amazonaws.com"}],
    }
    ours = [
        record("town.test.", values=["198.18.0.1"]),
        record("www.town.test.", alias={"DNSName": "dualstack.Decanter-1.elb.amazonaws.com."}),
    ]
    others = [
        record("town.test.", "MX", ["10 mail.town.test."]),
        record("moved.town.test.", values=["198.18.9.9"]),
        record("elsewhere.town.test.", values=["198.18.0.1"]),
    ]
    names = ["town.test", "www.town.test", "moved.town.test"]
    assert aws_records([*ours, *others], names, made) == ours


def test_subnets_are_sixteenths():
    assert [aws_subnet("10.20.0.0/16", part) for part in (0, 1, 8)] == [
        "10.20.0.0/20",
        "10.20.16.0/20",
        "10.20.128.0/20",
    ]


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("networks", [["198.18.5.0/24"], []])
@pytest.mark.parametrize("dns", [True, False])
def test_a_web_host_may_do_nothing_to_what_is_not_its_own(dns, networks, scaled):
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
    # What AWS lets nobody narrow to a resource.
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
    may: dict[str, set[str]] = {}
    for statement in policy["Statement"]:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        assert not any("*" in action for action in actions), f"expected actions by name, got {actions}"
        if statement["Resource"] == "*":
            assert set(actions) <= anywhere, f"expected resources by name for {set(actions) - anywhere}"
        for action in actions:
            may.setdefault(action, set()).add(str(statement["Resource"]))
    backups = {action for action, where in may.items() if any("/backups/" in each for each in where)}
    assert backups == {"s3:PutObject", "s3:AbortMultipartUpload"}, backups
    for action, expected in {
        "ssmmessages:OpenDataChannel": not networks,
        "autoscaling:CompleteLifecycleAction": scaled,
    }.items():
        assert (action in may) is expected, f"expected {action} {expected}, got {sorted(may)}"
    proofs = json.loads((ROLE / "../../docs/route53-policy.json").read_text().replace("ZONE-ID", "Z1"))[
        "Statement"
    ]
    assert (policy["Statement"][-2:] == proofs) is dns, "expected the statements of docs/route53-policy.json"
