"""The micro-cache serves pages of the live release."""

from __future__ import annotations

import secrets
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.hosts.fixtures.cached_pages import number, page, requests_session, status
from tests.hosts.fixtures.lab import run_playbook


@pytest.mark.alone
def test_a_page_is_asked_for_once_a_second(visitor):
    url = page()
    answers = [visitor.get(url) for _ in range(5)]
    assert len({number(answer) for answer in answers}) == 1, [status(answer) for answer in answers]
    assert [status(answer) for answer in answers] == ["MISS", *["HIT"] * 4]
    time.sleep(2.1)  # nginx counts whole seconds
    # Whoever comes then gets it as it was, and has it made new for those who come after.
    stale = visitor.get(url)
    assert (status(stale), number(stale)) == ("STALE", number(answers[0]))
    time.sleep(0.3)
    fresh = visitor.get(url)
    assert (status(fresh), number(fresh) == number(stale)) == ("HIT", False)


def test_many_who_come_at_once_ask_once(visitor, host):
    url = f"{page()}?seconds=0.5"
    with ThreadPoolExecutor(20) as many:
        answers = list(many.map(lambda _: requests_session(visitor).get(url, timeout=20), range(20)))
    got = {number(answer) for answer in answers}
    assert len(got) == 1, f"expected one answer of the application for 20 visitors, got {len(got)}"


@pytest.mark.alone
def test_an_application_that_hangs_is_not_noticed_by_who_can_have_the_page_as_it_was(host, visitor):
    url = page()
    kept = number(visitor.get(url))
    with host.sudo():
        unit = host.check_output("basename $(readlink /run/decanter/mirror/live.sock) .sock")
        host.check_output(f"systemctl kill --kill-who=all --signal=STOP mirror@{unit}.service")
        try:
            time.sleep(2.1)
            # Each over a connection of its own: one waits for what it has set going.
            answers = [requests_session(visitor).get(url, timeout=20) for _ in range(3)]
            with pytest.raises(requests.Timeout):
                requests_session(visitor).get(url, headers={"Cookie": "session=1"}, timeout=1)
        finally:
            host.check_output(f"systemctl kill --kill-who=all --signal=CONT mirror@{unit}.service")
    got = {(answer.status_code, number(answer)) for answer in answers}
    assert got == {(200, kept)}, f"expected the page as it was, got {got}"
    assert max(answer.elapsed.total_seconds() for answer in answers) < 1


def test_a_failure_is_not_seen_by_who_can_have_the_page_as_it_was(visitor):
    """What fails now and then, at the same address: a page that was there stays, for strangers alone."""
    url = page(f"failing-{secrets.token_hex(6)}")
    kept = number(visitor.get(url))
    answers = []
    for _ in range(4):
        time.sleep(1.1)
        answers.append(visitor.get(url))
    assert {answer.status_code for answer in answers} == {200}, [answer.status_code for answer in answers]
    assert {number(answer) for answer in answers} == {kept}
    known = visitor.get(url, headers={"Cookie": "session=1"})
    assert known.status_code == 500, "expected a known visitor to be told"


def test_no_page_of_a_release_is_served_when_another_is_live(host, visitor, inventory, variables):
    """Whatever was kept is forgotten before, and told apart by its instance meanwhile."""
    url, limit = page(), ("--limit", variables["inventory_hostname"])
    with host.sudo():
        before = number(visitor.get(url))
        # What an instance reads has changed, so another takes over.
        host.check_output("touch /tmp/before /etc/decanter/mirror/environment")
        done = run_playbook("site.yml", inventory, *limit, "--tags", "release")
        assert done.returncode == 0 and "changed=0" not in done.stdout, done.stdout[-2000:]
        left = host.check_output("find /var/lib/nginx/cache-mirror -type f ! -newer /tmp/before")
        answer = visitor.get(url)
        live = host.check_output("basename $(readlink /run/decanter/mirror/live.sock) .sock")
        keys = host.check_output("grep --recursive --no-filename --text ^KEY: /var/lib/nginx/cache-mirror")
    assert number(answer) != before, "expected no page of the instance that was live before"
    assert status(answer) == "MISS", status(answer)
    assert left == "", f"expected nothing that was kept before, got {left}"
    others = [key for key in keys.splitlines() if f" {live} /" not in key]
    assert not others, f"expected pages of {live} alone, got {others}"
