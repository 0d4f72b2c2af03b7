"""Cached pages of one client are not served to another."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from typing import Any

import pytest

from tests.hosts.fixtures.cached_pages import MIRROR, number, page, requests_session, status

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
