"""Errors of the dictionary `aws`, found without a request to AWS."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible_collections.decanter.stack.plugins.filter.aws_check import aws_errors, aws_with_defaults
from repository import ROOT

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA a@b"


def settings(size: str = "small", **more: Any) -> dict[str, Any]:
    least = {"size": size, "region": "eu-west-1", "ssh_key": KEY}
    if size == "scaled":
        least["dns"] = {"zone": "town.test", "names": ["town.test", "www.town.test"]}
        more["web"] = {"health": "harbour"} | more.get("web", {})
    return least | more


@pytest.mark.parametrize("size", ["small", "standard", "scaled"])
def test_valid_settings_give_no_errors(size):
    assert aws_errors(settings(size), "staging") == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, "aws: found nothing, expected a dictionary with at least size, region and ssh_key"),
        ([], "aws: found an empty list, expected a dictionary with at least size, region and ssh_key"),
        (settings("huge"), 'aws.size: found "huge", expected one of: small, standard, scaled'),
        (settings(region="Ireland"), 'aws.region: found "Ireland", expected a region (such as eu-west-1)'),
        (
            settings(sise=1),
            "aws.sise: found an unknown key, expected one of: alarm_emails, backup_alarm, backup_days, "
            "cloudfront_only, database, dns, edge, image, network, redis, region, size, ssh_key, "
            "ssh_networks, web (did you mean size?)",
        ),
        (
            settings(ssh_networks=["0.0.0.0/0"]),
            'aws.ssh_networks[0]: found "0.0.0.0/0", expected a network of your own (such as '
            "203.0.113.0/24), not the world",
        ),
        (
            settings(network="10.0.0.0/24"),
            'aws.network: found "10.0.0.0/24", expected a private network of /16 to /20 '
            "(such as 10.20.0.0/16)",
        ),
        (
            settings(network="8.8.0.0/16"),
            'aws.network: found "8.8.0.0/16", expected a private network of /16 to /20 '
            "(such as 10.20.0.0/16)",
        ),
        (settings(backup_days=36), "aws.backup_days: found 36, expected an integer from 1 to 35"),
        (settings(backup_days=True), "aws.backup_days: found true, expected an integer from 1 to 35"),
        (
            settings(database={"multi_az": True}),
            "aws.database: found a dictionary, expected no database with size small "
            "(only with standard and scaled)",
        ),
        (
            settings("standard", web={"maximum": 9}),
            "aws.web.maximum: found 9, expected no maximum with size standard (only with scaled)",
        ),
        (
            settings("scaled", web={"health": "/healthz"}),
            'aws.web.health: found "/healthz", expected the name of a site (such as harbour)',
        ),
        (
            settings("scaled", web={"minimum": 5}),
            "aws.web.maximum: found 4, expected at least the minimum, 5",
        ),
        (
            settings(dns={"zone": "town.test", "names": ["town.test", "other.test"]}),
            'aws.dns.names[1]: found "other.test", expected town.test or a name below it',
        ),
        (
            settings(dns={"zone": "town.test", "names": ["nottown.test"]}),
            'aws.dns.names[0]: found "nottown.test", expected town.test or a name below it',
        ),
        (
            settings(alarm_emails=["ops@example.com"]),
            'aws.alarm_emails[0]: found the placeholder "ops@example.com", expected your own value',
        ),
    ],
)
def test_invalid_setting_gives_one_line(given, expected):
    assert aws_errors(given, "staging") == [expected]


def test_invalid_environment_name_is_rejected():
    (line,) = aws_errors(settings(), "Staging_1")
    assert line.startswith(
        'ENV: found "Staging_1", expected a folder of inventories/ with 2 to 15 lower-case'
    ), line


def test_load_balancer_requires_names_and_a_health_site():
    given = settings("scaled")
    del given["dns"], given["web"]
    assert aws_errors(given, "staging") == [
        "aws.dns: found nothing, expected zone and names, to validate the load balancer's certificate",
        "aws.web.health: found nothing, expected the site of the load balancer's health checks",
    ]


def test_all_errors_are_reported_at_once():
    lines = aws_errors({"size": "big", "ssh_key": "x", "web": {"disk": 1}, "redis": 3}, "x")
    assert [line.split(":")[0] for line in lines] == [
        "ENV",
        "aws.redis",
        "aws.region",
        "aws.size",
        "aws.ssh_key",
        "aws.web.disk",
    ]


def test_unreadable_value_gives_one_line():
    class Lazy(dict):
        def __getitem__(self, key):
            if key == "region":
                raise KeyError("a template that fails")
            return super().__getitem__(key)

    (line,) = aws_errors(Lazy(settings()), "staging")
    assert line.startswith("aws.region: found a value that cannot be read, expected a region"), line


@pytest.mark.parametrize(
    ("size", "has", "has_not"),
    [
        ("small", ["web"], ["database", "redis", "edge"]),
        ("standard", ["web", "database"], ["redis", "edge"]),
        ("scaled", ["web", "database", "redis", "edge", "cloudfront_only"], []),
    ],
)
def test_defaults_depend_on_the_size(size, has, has_not):
    filled = aws_with_defaults(settings(size, web={"disk": 30}))
    assert set(has) <= filled.keys() and not set(has_not) & filled.keys(), filled
    assert filled["web"]["disk"] == 30 and filled["web"]["type"] == "t3.small", filled["web"]
    assert ("minimum" in filled["web"]) == (size == "scaled"), filled["web"]
    assert aws_errors(filled, "staging") == [], "expected valid defaults"


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_filled_in_inventory_example_is_valid(environment):
    path = ROOT / f"inventories/{environment}/group_vars/all/aws.yml"
    example = "\n".join(line.removeprefix("# ") for line in path.read_text().splitlines())
    for placeholder, own in (
        ("example.com", "town.test"),
        ("ssh_key: REPLACE_ME", f"ssh_key: {KEY}"),
        ("[REPLACE_ME]", "[198.18.5.0/24]"),
        ("REPLACE_ME@", "ops@"),
    ):
        assert placeholder in example, f"expected {placeholder} to be filled in, got {example}"
        example = example.replace(placeholder, own)
    given = yaml.safe_load(example[example.index("\naws:") :])["aws"]
    assert aws_errors(given, environment) == []
