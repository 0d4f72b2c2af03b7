"""Certificates with DNS-01 challenges at Route 53."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from certificates_host import MODULES, Host, new_host


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return new_host(tmp_path, monkeypatch)


WILD = {"server_names": ["wild.test", "*.wild.test"], "challenge": "route53"}


def test_route53_challenge_needs_no_probe(host):
    host.settings = {"probe": True}
    run = host.run(wild=WILD)
    assert run.well and run.results == {"wild": {"installed": True, "error": ""}}, run.results
    (order,) = host.orders()
    assert "--dns-route53" in order and "--webroot" not in order, order
    run = host.run({"dry_run": True}, wild=WILD)
    assert run.well and "--dns-route53" in host.orders()[0], run.faults
    assert host.run(wild=WILD).well and not host.orders(), "expected no order before a renewal is due"


def test_certbot_gets_the_environment_of_route53(host, monkeypatch):
    def aws_variables() -> dict[str, str]:
        found = json.loads((host.root / "environment").read_text())
        return {name: value for name, value in found.items() if name.startswith("AWS_")}

    monkeypatch.setenv("AWS_PROFILE", "other")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/unit")
    host.run(a={})
    assert aws_variables() == {}, "expected no AWS variables without a certificate by Route 53"
    common = {"AWS_DEFAULT_REGION": "us-east-1", "AWS_CA_BUNDLE": MODULES["state"].CA_BUNDLE}
    key = {"AWS_SHARED_CREDENTIALS_FILE": "/run/credentials/unit/aws"}
    host.run(wild=WILD)
    assert aws_variables() == common | key
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    host.settings = {"aws": {"region": "cn-north-1", "endpoint": "http://dns.test"}}
    host.run({"force": True}, wild=WILD)
    assert aws_variables() == common | {
        "AWS_DEFAULT_REGION": "cn-north-1",
        "AWS_ENDPOINT_URL_ROUTE_53": "http://dns.test",
    }


HINT = "To use certbot-dns-route53, configure credentials as described at https://boto3.test and so on."
OPERATION = "An error occurred ({}) when calling the {} operation{}: {}"
ROUTE_53_ERRORS = [
    (
        f"{OPERATION.format('AccessDenied', 'ListHostedZones', '', 'User: arn may not')}\n{HINT}\nAsk",
        "AccessDenied: ListHostedZones: User: arn may not",
    ),
    (
        OPERATION.format(
            "Throttling", "ChangeResourceRecordSets", " (reached max retries: 4)", "Rate exceeded"
        ),
        "Throttling: ChangeResourceRecordSets: Rate exceeded",
    ),
    (f"Unable to locate credentials\n{HINT}\n", "Unable to locate credentials, and the instance has no role"),
    (
        "Unable to find a Route53 hosted zone for _acme-challenge.wild.test\nAsk for help\n",
        "Unable to find a Route53 hosted zone for _acme-challenge.wild.test",
    ),
    (
        "An unexpected error occurred:\nbotocore.exceptions.EndpointConnectionError: Could not connect\nAsk",
        "Could not connect",
    ),
]


@pytest.mark.parametrize(("log", "expected"), ROUTE_53_ERRORS)
def test_route53_error_is_one_line(host, log, expected):
    (host.root / "fault-wild").write_text(log)
    run = host.run(wild=WILD)
    assert run.results["wild"]["error"] == f"Route 53: {expected}", run.results


def test_ca_error_of_a_dns_challenge_names_the_ca(host):
    output = "Identifier: *.wild.test\n  Type:   unauthorized\n  Detail: Incorrect TXT record\n"
    (host.root / "fault-wild").write_text(output)
    run = host.run(wild=WILD)
    error = "https://ca.test/dir issued no certificate: *.wild.test: Incorrect TXT record"
    assert run.results["wild"]["error"] == error, run.results


def test_route53_failure_is_retried_in_each_run(host):
    (host.root / "fault-wild").write_text("Unable to locate credentials")
    host.run(wild=WILD)
    host.run(wild=WILD)
    assert len(host.orders()) == 2, "expected an order in each run"
    assert host.note("wild")["failed"]["times"] == 2
    (host.root / "fault-wild").unlink()
    assert host.run(wild=WILD).well
