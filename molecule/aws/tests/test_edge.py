"""CloudFormation's template of the edge, which nothing here can make: read by cfn-lint."""

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
    """Reads !Ref and !GetAtt as what they name."""


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


def faults(text: str) -> list[str]:
    return [f"{each.rule.id} {each.message}" for each in lint(text, regions=["us-east-1"])]


def test_it_is_what_cloudformation_takes(rendered):
    assert faults(rendered) == []


def test_a_fault_would_be_found(rendered):
    assert faults(rendered.replace("TLSv1.2_2021", "TLSv1.2_1999")), "expected a fault, got none"


def test_visitors_and_the_load_balancer_are_spoken_to_by_tls_alone(rendered):
    resources: dict[str, Any] = yaml.load(rendered, Loader)["Resources"]
    made = resources["Distribution"]["Properties"]["DistributionConfig"]
    assert made["ViewerCertificate"]["MinimumProtocolVersion"] == "TLSv1.2_2021", made
    assert made["DefaultCacheBehavior"]["ViewerProtocolPolicy"] == "redirect-to-https", made
    (origin,) = made["Origins"]
    assert origin["CustomOriginConfig"]["OriginProtocolPolicy"] == "https-only", origin
    assert origin["OriginCustomHeaders"] == [{"HeaderName": "X-Decanter-Edge", "HeaderValue": "Secret"}]
    assert made["WebACLId"] == "Firewall.Arn" and made["Aliases"] == ["town.test", "www.town.test"], made
    proofs = resources["Certificate"]["Properties"]["DomainValidationOptions"]
    assert [each["DomainName"] for each in proofs] == ["town.test", "www.town.test"], proofs
