"""Deploys to web hosts behind a target group: each host drains, and no request is lost."""

from __future__ import annotations

import time

import boto3
from alb_client import HarbourLoad
from conftest import assert_succeeded


def test_deploy_drains_each_host_and_loses_no_request(balancer, deploy, listing, live, target_events):
    before, start = live("web1"), time.time()
    paths = ("/", listing.path, *listing.photos)
    with balancer.polling(), HarbourLoad(balancer=balancer, paths=paths) as load:
        assert_succeeded(deploy())
    after = [live(host) for host in ("web1", "web2")]
    assert len(set(after)) == 1 and after[0] != before, f"expected one new release on both, got {after}"
    assert len(load.results) > 200 and not load.lost, (
        f"expected no lost request of {len(load.results)}, got {load.lost[:5]}"
    )
    got = target_events(start)
    expected = [f"{host} {event}" for host in ("web1", "web2") for event in ("out", "in", "healthy")]
    assert got == expected, f"expected {expected}, got {got}"


def test_deploy_publishes_live_release(resources, live):
    published = boto3.client("s3").get_object(Bucket=resources["bucket"], Key="decanter/live.json")
    text = published["Body"].read()
    assert live("web1").encode() in text, f"expected {live('web1')} in {text!r}"
