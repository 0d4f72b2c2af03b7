"""Web hosts without state: each of them serves every client alike."""

from __future__ import annotations

import re

import boto3
import pytest
from conftest import succeeded

from tests.hosts.fixtures.lab import run_playbook

WEB = ("web1", "web2")


def test_a_second_converge_changes_nothing(inventory):
    finished = run_playbook("site.yml", inventory)
    succeeded(finished)
    changed = re.findall(r"^(\S+) +: .*changed=([1-9]\d*)", finished.stdout, re.M)
    assert not changed, f"expected nothing to change, got {changed}:\n{finished.stdout[-6000:]}"


@pytest.mark.parametrize("host", WEB)
def test_a_home_is_served_whole_by_each(host, home, somebody):
    one = somebody()
    page = one.ask(home.path, host=host)
    assert page.status == 200 and home.title in page.text, f"{host}: {page.status}: {page.text[:500]}"
    for photo in home.photos:
        got = one.ask(photo, host=host)
        kind = got.fields["Content-Type"]
        assert (got.status, kind, got.content[:2]) == (200, "image/jpeg", b"\xff\xd8"), (
            f"{host}: expected the photo {photo}, got {got.status} {kind}"
        )


def test_photos_are_in_the_bucket_and_on_no_host(home, made, inside):
    names = [photo.rpartition("/")[2] for photo in home.photos]
    told = boto3.client("s3").list_objects_v2(Bucket=made["bucket"], Prefix="media/")
    kept = {one["Key"].removeprefix("media/") for one in told["Contents"]}
    assert set(names) <= kept, f"expected {names} in the bucket, got {kept}"
    for host in WEB:
        found = inside(host, "find", "/srv", "/var", "/tmp", "-xdev", "-name", names[0])
        assert found == "", f"expected no photo on {host}, got {found}"


@pytest.mark.parametrize("host", WEB)
def test_who_is_logged_in_is_so_everywhere(host, moderator):
    page = moderator.ask("/admin/", host=host)
    assert page.status == 200 and "Pending" in page.text, f"{host}: {page.status} {page.fields['Location']}"


def test_limits_are_counted_for_all_hosts_together(somebody):
    one = somebody()
    key = one.key("/contact")
    got = [one.ask("/contact", [("csrf_token", key)], WEB[count % 2]).status for count in range(11)]
    # Ten an hour, whatever is wrong with them.
    assert got == [422] * 10 + [429], f"expected ten to be looked at and the next refused, got {got}"
