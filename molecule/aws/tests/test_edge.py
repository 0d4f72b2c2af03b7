"""The CloudFormation template of the edge. cfn-lint validates it, because moto cannot create the edge."""

from __future__ import annotations

import json
from typing import Any

import jinja2
import pytest
import yaml
from cfnlint.api import lint
from cloud import ROOT

TEMPLATE = ROOT / "roles/aws/templates/edge.yml.j2"


class Loader(yaml.SafeLoader):
    """Read !Ref and !GetAtt as the names that they refer to."""


Loader.add_multi_constructor("!", lambda loader, suffix, node: node.value)


@pytest.fixture
def rendered() -> str:
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters["to_json"] = json.dumps
    return environment.from_string(TEMPLATE.read_text()).render(
        ansible_managed="Ansible managed",
        aws_settings={"dns": {"names": ["town.test", "www.town.test"]}},
        __aws_name="decanter-staging",
        __aws_edge_header="X-Decanter-Edge",
        __aws_found={"dns_zone_id": "Z0123456789ABCDEFGHIJ"},
        __aws_balancer={"dns_name": "decanter-staging-1.eu-west-1.elb.amazonaws.com"},
    )


def lint_errors(text: str) -> list[str]:
    return [f"{each.rule.id} {each.message}" for each in lint(text, regions=["us-east-1"])]


def test_template_is_valid(rendered):
    assert lint_errors(rendered) == []


def test_template_with_an_unknown_tls_policy_is_invalid(rendered):
    assert lint_errors(rendered.replace("TLSv1.2_2021", "TLSv1.2_1999")), "expected an error, got none"


def test_template_requires_tls_of_clients_and_origin(rendered):
    resources: dict[str, Any] = yaml.load(rendered, Loader)["Resources"]
    config = resources["Distribution"]["Properties"]["DistributionConfig"]
    assert config["ViewerCertificate"]["MinimumProtocolVersion"] == "TLSv1.2_2021", config
    assert config["DefaultCacheBehavior"]["ViewerProtocolPolicy"] == "redirect-to-https", config
    (origin,) = config["Origins"]
    assert origin["CustomOriginConfig"]["OriginProtocolPolicy"] == "https-only", origin
    assert origin["OriginCustomHeaders"] == [{"HeaderName": "X-Decanter-Edge", "HeaderValue": "Secret"}]
    assert config["WebACLId"] == "Firewall.Arn" and config["Aliases"] == ["town.test", "www.town.test"], (
        config
    )
    validations = resources["Certificate"]["Properties"]["DomainValidationOptions"]
    assert [each["DomainName"] for each in validations] == ["town.test", "www.town.test"], validations
