"""A deploy takes each host out of the target group and puts it back, and no visitor notices."""

from __future__ import annotations

import time

import boto3
from alb_client import Visits
from conftest import succeeded


def test_a_deploy_takes_each_host_out_and_loses_nothing(balancer, deploy, home, live, turns):
    before, began = live("web1"), time.time()
    with balancer.followed(), Visits(balancer=balancer, paths=("/", home.path, *home.photos)) as visits:
        succeeded(deploy())
    after = [live(host) for host in ("web1", "web2")]
    assert len(set(after)) == 1 and after[0] != before, f"expected one new release on both, got {after}"
    assert len(visits.answers) > 200 and not visits.lost, (
        f"expected none of {len(visits.answers)} to be lost, got {visits.lost[:5]}"
    )
    got = turns(began)
    expected = [f"{host} {what}" for host in ("web1", "web2") for what in ("out", "in", "healthy")]
    assert got == expected, f"expected each to be out, in and healthy before the next, got {got}"


def test_what_is_live_is_published(made, live):
    told = boto3.client("s3").get_object(Bucket=made["bucket"], Key="decanter/live.json")["Body"].read()
    assert live("web1").encode() in told, f"expected {live('web1')} in {told!r}"
