"""The micro-cache, and how one visitor's page might be had by another."""

from __future__ import annotations

import json
import secrets
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.hosts.fixtures.lab import run_playbook

MIRROR = "https://mirror.test"
HARBOUR = "https://harbour.test"


def page(name: str = "") -> str:
    """A page that nobody has asked for yet."""
    return f"{MIRROR}/say/{name or secrets.token_hex(6)}"


def number(answer: requests.Response) -> str:
    """What tells one answer of the application from another."""
    return json.loads(answer.text)["number"]


def status(answer: requests.Response) -> str:
    return answer.headers.get("X-Cache", "")


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


def requests_session(visitor) -> requests.Session:
    session = requests.Session()
    session.verify, session.trust_env = visitor.ca, False
    return session


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


# --- What is nobody else's ---------------------------------------------------------------------

ASKED = [
    {"Cookie": "session=ada"},
    {"Cookie": "SESSION=ada"},
    {"Cookie": "remember_token=ada"},
    {"Cookie": "_ga=1; session=ada"},
    {"Cookie": "session=ada; _ga=1"},
    {"Cookie": "_ga=1;session=ada"},
    {"Cookie": '_ga="1; session=ada"'},
    {"Cookie": "_ga=1 session=ada"},
    {"Cookie": "_ga=1, session=ada"},
    {"Cookie": "_ga=1\tsession=ada"},
    {"Cookie": "_gat=ada"},
    {"Cookie": "x_ga=ada"},
    {"Cookie": "_ga"},
    {"Cookie": ";"},
    {"Cookie": "=ada"},
    {"Authorization": "Basic YWRhOmFkYQ=="},
    {"authorization": "Bearer ada"},
    {"X-API-Key": "ada"},
    {"X-Auth-Token": "ada"},
    {"X-HTTP-Method-Override": "DELETE"},
    {"X-HTTP-Method": "DELETE"},
    {"X-Method-Override": "DELETE"},
    {"Range": "bytes=0-1"},
    {"Upgrade": "websocket", "Connection": "Upgrade"},
    {"Content-Length": "0"},
]


@pytest.mark.parametrize("given", ASKED, ids=str)
def test_who_is_known_neither_has_a_kept_page_nor_leaves_one(visitor, given):
    url = page()
    known = visitor.session.request("GET", url, headers=given, timeout=20)
    assert status(known) == "BYPASS", f"expected {given} to pass the cache by, got {status(known)}"
    stranger = visitor.get(url)
    assert status(stranger) == "MISS", f"expected nothing to be left by {given}, got {status(stranger)}"
    again = visitor.session.request("GET", url, headers=given, timeout=20)
    assert status(again) == "BYPASS" and number(stranger) not in again.text, again.text


@pytest.mark.parametrize("given", ["_ga=1", "_ga=1; _ga_X1=GS1.1.2", "_ga_A.b-c=3"])
def test_cookies_that_tell_nothing_are_no_hindrance(visitor, given):
    url = page()
    assert [status(visitor.get(url, headers={"Cookie": given})) for _ in range(2)] == ["MISS", "HIT"]


ANSWERED = [
    "Set-Cookie:session=ada",
    "set-cookie:_ga=1",
    "Cache-Control:private",
    "Cache-Control:PRIVATE",
    "cache-control:Public, Private",
    'Cache-Control:private="x", max-age=60',
    "Cache-Control:no-store",
    "Cache-Control:No-Store",
    "Cache-Control:max-age=60, no-store",
    "Cache-Control:no-cache",
    "Cache-Control:max-age=0",
    "Vary:*",
    "Expires:Thu, 01 Jan 1970 00:00:00 GMT",
    "X-Accel-Expires:0",
]


@pytest.mark.parametrize("line", ANSWERED)
@pytest.mark.parametrize("code", [200, 301, 404, 500])
def test_what_is_somebodys_own_is_kept_for_nobody(visitor, line, code):
    url, given = page(), {"h": line, "status": code}
    answers = []
    for _ in range(2):
        visitor.session.cookies.clear()
        answers.append(visitor.get(url, params=given))
    assert len({number(answer) for answer in answers}) == 2, f"{line}: expected two pages, got one kept"
    assert {status(answer) for answer in answers} <= {"MISS", "EXPIRED"}, [status(one) for one in answers]


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("Accept-Language", "en", "fr"),
        ("Accept", "text/html", "application/json"),
        ("User-Agent", "telephone", "desktop"),
        ("Cookie", "_ga=1", "_ga=2"),
        ("X-Requested-With", "XMLHttpRequest", "nobody"),
    ],
)
def test_pages_that_vary_do(visitor, name, one, other):
    url = page()
    first, second = (
        visitor.get(url, params={"h": f"Vary:{name}"}, headers={name: value}) for value in (one, other)
    )
    assert number(first) != number(second), f"expected another page for another {name}, got the same"
    again = visitor.get(url, params={"h": f"Vary:{name}"}, headers={name: one})
    assert (number(again), status(again)) == (number(first), "HIT")


@pytest.mark.parametrize("method", ["POST", "PUT", "PROPFIND", "OPTIONS", "DELETE", "BREW"])
def test_other_methods_neither_have_a_kept_page_nor_leave_one(visitor, method):
    url = page()
    visitor.session.request(method, url, timeout=20)
    assert status(visitor.get(url)) == "MISS"
    answer = visitor.session.request(method, url, timeout=20)
    assert status(answer) == "BYPASS" or answer.status_code >= 400, (answer.status_code, status(answer))


def test_a_page_that_was_asked_for_by_its_head_is_whole(visitor):
    url = page()
    head = visitor.session.head(url, timeout=20)
    assert (status(head), head.text) == ("MISS", "")
    body = visitor.get(url)
    assert status(body) == "HIT" and number(body), "expected a body after a HEAD"


def test_a_part_of_a_page_is_no_page(visitor):
    url = page()
    visitor.get(url, headers={"Range": "bytes=0-3"})
    whole = visitor.get(url)
    assert whole.status_code == 200 and number(whole)
    known = visitor.get(url, headers={"If-None-Match": "*"})
    assert known.status_code in (200, 304), known.status_code


@pytest.mark.parametrize(
    "others",
    [
        ("?a=1&b=2", "?b=2&a=1"),
        ("?a=1", "?a=1&"),
        ("?a=1", "?A=1"),
        ("", "?"),
        ("", "/"),
        ("", "//"),
        ("/a/b", "/a%2Fb"),
        ("/x", "/%78"),
    ],
)
def test_no_address_stands_for_another(visitor, others):
    url = page()
    # As they are: requests would tidy them up.
    numbers = [raw(visitor, url + one) for one in others]
    assert numbers[0] != numbers[1], f"expected {others} to be two pages, got one"


def raw(visitor, url: str, *arguments: str) -> str:
    place, port = visitor.place(443)
    command = ["curl", "-s", "--path-as-is", "--cacert", visitor.ca, "--max-time", "20"]
    command += ["--connect-to", f"::{place}:{port}", *arguments, url]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    "given",
    [
        {"Host": "www.mirror.test"},
        {"Host": "MIRROR.TEST"},
        {"Host": "mirror.test:443"},
        {"Host": "mirror.test."},
        {"X-Forwarded-Host": "evil.test"},
        {"X-Forwarded-Scheme": "http"},
        {"X-Original-URL": "/say/evil"},
        {"Forwarded": "host=evil.test"},
    ],
    ids=str,
)
def test_a_page_is_not_made_for_another_host(visitor, given):
    url = page()
    visitor.session.get(url, headers=given, timeout=20, allow_redirects=False)
    got = json.loads(visitor.get(url).text)
    assert "evil" not in str(got) and got["host"].split(":")[0] == "mirror.test", got


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
@pytest.mark.parametrize("length", ["Content-Length: 4", "Content-Length:", "Transfer-Encoding: chunked"])
def test_a_body_makes_no_page_for_others(visitor, version, length):
    """An application may read a body with GET, too, of which the page's address says nothing."""
    url = page()
    raw(visitor, url, version, "-X", "GET", "-H", length, "--data", "evil")
    got = visitor.get(url)
    assert "evil" not in got.text, f"expected a page without another's body, got {got.text}"


def test_what_is_excepted_is_never_kept(visitor):
    for path in ("/say/form", "/say/formular", "/say/%66orm", "/healthz", "/health%7a"):
        got = {raw(visitor, MIRROR + path) for _ in range(2)}
        assert len(got) == 2, f"expected {path} to be made anew, got {got}"


def test_a_site_without_a_cache_keeps_nothing(visitor):
    for _ in range(2):
        assert "X-Cache" not in visitor.get("https://myproject.test/").headers


def test_many_visitors_of_many_kinds_see_their_own(visitor):
    """Known and unknown, at the same time, at the same address: nobody's name is on another's page."""
    url, wrong = page(), []
    over = threading.Event()

    def visit(name: str) -> None:
        session, cookie = requests_session(visitor), f"session={name}" if name else ""
        while not over.is_set():
            given: dict[str, Any] = {"Cookie": cookie} if cookie else {}
            got = json.loads(session.get(url, headers=given, timeout=20).text)["cookie"]
            if got != cookie:
                wrong.append((cookie, got))

    threads = [threading.Thread(target=visit, args=(name,)) for name in ("", "", "ada", "bob", "")]
    for thread in threads:
        thread.start()
    time.sleep(4)
    over.set()
    for thread in threads:
        thread.join()
    assert not wrong, f"expected everybody's own page, got {wrong[:5]}"
