"""The micro-cache: hits, stale pages during slow or failed requests, and reset by a release."""

from __future__ import annotations

import secrets
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.hosts.fixtures.cached_pages import cache_status, number, page_url, requests_session
from tests.hosts.fixtures.lab import run_playbook


@pytest.mark.alone
def test_cache_requests_page_once_a_second(visitor):
    url = page_url()
    responses = [visitor.get(url) for _ in range(5)]
    statuses = [cache_status(response) for response in responses]
    assert len({number(response) for response in responses}) == 1, statuses
    assert statuses == ["MISS", *["HIT"] * 4]
    time.sleep(2.1)  # nginx counts whole seconds
    # The first request afterwards gets the expired page, and nginx updates the page in the background.
    stale = visitor.get(url)
    assert (cache_status(stale), number(stale)) == ("STALE", number(responses[0]))
    time.sleep(0.3)
    fresh = visitor.get(url)
    assert (cache_status(fresh), number(fresh) == number(stale)) == ("HIT", False)


def test_cache_concurrent_requests_reach_application_once(visitor, host):
    url = f"{page_url()}?seconds=0.5"
    with ThreadPoolExecutor(20) as pool:
        responses = list(pool.map(lambda _: requests_session(visitor).get(url, timeout=20), range(20)))
    got = {number(response) for response in responses}
    assert len(got) == 1, f"expected one page of the application for 20 clients, got {len(got)}"


@pytest.mark.alone
def test_cache_serves_stale_page_while_application_hangs(host, visitor):
    url = page_url()
    cached_number = number(visitor.get(url))
    with host.sudo():
        unit = host.check_output("basename $(readlink /run/decanter/mirror/live.sock) .sock")
        host.check_output(f"systemctl kill --kill-who=all --signal=STOP mirror@{unit}.service")
        try:
            time.sleep(2.1)
            # Each on its own connection, because one connection waits for the update that it started.
            responses = [requests_session(visitor).get(url, timeout=20) for _ in range(3)]
            with pytest.raises(requests.Timeout):
                requests_session(visitor).get(url, headers={"Cookie": "session=1"}, timeout=1)
        finally:
            host.check_output(f"systemctl kill --kill-who=all --signal=CONT mirror@{unit}.service")
    got = {(response.status_code, number(response)) for response in responses}
    assert got == {(200, cached_number)}, f"expected the cached page, got {got}"
    assert max(response.elapsed.total_seconds() for response in responses) < 1


def test_cache_serves_stale_page_while_application_fails(visitor):
    """Requests with a session cookie bypass the cache, and get the error."""
    url = page_url(f"failing-{secrets.token_hex(6)}")
    cached_number = number(visitor.get(url))
    responses = []
    for _ in range(4):
        time.sleep(1.1)
        responses.append(visitor.get(url))
    codes = [response.status_code for response in responses]
    assert set(codes) == {200}, codes
    assert {number(response) for response in responses} == {cached_number}
    with_session = visitor.get(url, headers={"Cookie": "session=1"})
    assert with_session.status_code == 500, "expected status 500 for a request with a session cookie"


def test_cache_serves_no_page_of_previous_release(host, visitor, inventory, variables):
    """The release empties the cache, and cache keys contain the instance."""
    url, limit = page_url(), ("--limit", variables["inventory_hostname"])
    with host.sudo():
        before = number(visitor.get(url))
        # A changed environment file activates the other instance.
        host.check_output("touch /tmp/before /etc/decanter/mirror/environment")
        run = run_playbook("site.yml", inventory, *limit, "--tags", "release")
        assert run.returncode == 0 and "changed=0" not in run.stdout, run.stdout[-2000:]
        left = host.check_output("find /var/lib/nginx/cache-mirror -type f ! -newer /tmp/before")
        response = visitor.get(url)
        live = host.check_output("basename $(readlink /run/decanter/mirror/live.sock) .sock")
        keys = host.check_output("grep --recursive --no-filename --text ^KEY: /var/lib/nginx/cache-mirror")
    assert number(response) != before, "expected a page of the new instance, got a page of the previous one"
    assert cache_status(response) == "MISS", cache_status(response)
    assert left == "", f"expected no cached page from before the release, got {left}"
    others = [key for key in keys.splitlines() if f" {live} /" not in key]
    assert not others, f"expected cache keys of {live} only, got {others}"
