"""Web hosts without state: each of them serves every client the same content."""

from __future__ import annotations

import re

import boto3
import pytest
from conftest import assert_succeeded

from tests.hosts.fixtures.lab import run_playbook

WEB = ("web1", "web2")


def test_second_converge_changes_nothing(inventory):
    process = run_playbook("site.yml", inventory)
    assert_succeeded(process)
    changed = re.findall(r"^(\S+) +: .*changed=([1-9]\d*)", process.stdout, re.M)
    assert not changed, f"expected nothing to change, got {changed}:\n{process.stdout[-6000:]}"


@pytest.mark.parametrize("host", WEB)
def test_listing_is_served_by_each_host(host, listing, new_client):
    client = new_client()
    page = client.request(listing.path, host=host)
    assert page.status == 200 and listing.title in page.text, f"{host}: {page.status}: {page.text[:500]}"
    for photo in listing.photos:
        got = client.request(photo, host=host)
        media_type = got.headers["Content-Type"]
        assert (got.status, media_type, got.content[:2]) == (200, "image/jpeg", b"\xff\xd8"), (
            f"{host}: expected the photo {photo}, got {got.status} {media_type}"
        )


def test_photos_are_stored_only_in_bucket(listing, resources, run_on):
    names = [photo.rpartition("/")[2] for photo in listing.photos]
    objects = boto3.client("s3").list_objects_v2(Bucket=resources["bucket"], Prefix="media/")
    stored = {one["Key"].removeprefix("media/") for one in objects["Contents"]}
    assert set(names) <= stored, f"expected {names} in the bucket, got {stored}"
    for host in WEB:
        found = run_on(host, "find", "/srv", "/var", "/tmp", "-xdev", "-name", names[0])
        assert found == "", f"expected no photo on {host}, got {found}"


@pytest.mark.parametrize("host", WEB)
def test_login_is_valid_on_each_host(host, moderator):
    page = moderator.request("/admin/", host=host)
    assert page.status == 200 and "Pending" in page.text, f"{host}: {page.status} {page.headers['Location']}"


def test_limit_counts_requests_to_all_hosts(new_client):
    client = new_client()
    token = client.csrf_token("/contact")
    got = [client.request("/contact", [("csrf_token", token)], WEB[count % 2]).status for count in range(11)]
    # The limit is ten an hour, and counts invalid forms too.
    assert got == [422] * 10 + [429], f"expected ten times 422, then 429, got {got}"
