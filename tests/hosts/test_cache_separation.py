"""Cached pages of one client are not served to another."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from typing import Any

import pytest

from tests.hosts.fixtures.cached_pages import MIRROR, cache_status, number, page_url, requests_session
from tests.hosts.fixtures.raw_requests import raw_request

# A request with one of these headers bypasses the cache.
BYPASS_HEADERS = [
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


@pytest.mark.parametrize("headers", BYPASS_HEADERS, ids=str)
def test_cache_is_bypassed_for_identified_client(visitor, headers):
    url = page_url()
    identified = visitor.session.request("GET", url, headers=headers, timeout=20)
    assert cache_status(identified) == "BYPASS", f"{headers}: expected BYPASS, got {cache_status(identified)}"
    anonymous = visitor.get(url)
    assert cache_status(anonymous) == "MISS", f"{headers}: expected MISS next, got {cache_status(anonymous)}"
    again = visitor.session.request("GET", url, headers=headers, timeout=20)
    assert cache_status(again) == "BYPASS" and number(anonymous) not in again.text, again.text


@pytest.mark.parametrize("cookies", ["_ga=1", "_ga=1; _ga_X1=GS1.1.2", "_ga_A.b-c=3"])
def test_cache_ignores_harmless_cookies(visitor, cookies):
    url = page_url()
    assert [cache_status(visitor.get(url, headers={"Cookie": cookies})) for _ in range(2)] == ["MISS", "HIT"]


# A response with one of these headers is not cached.
PRIVATE_HEADERS = [
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


@pytest.mark.parametrize("line", PRIVATE_HEADERS)
@pytest.mark.parametrize("code", [200, 301, 404, 500])
def test_cache_stores_no_private_response(visitor, line, code):
    url, parameters = page_url(), {"h": line, "status": code}
    responses = []
    for _ in range(2):
        visitor.session.cookies.clear()
        responses.append(visitor.get(url, params=parameters))
    numbers, statuses = (set(map(read, responses)) for read in (number, cache_status))
    assert len(numbers) == 2, f"{line}: expected two pages, got one page twice"
    assert statuses <= {"MISS", "EXPIRED"}, statuses


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
def test_cache_separates_pages_by_vary_header(visitor, name, one, other):
    url = page_url()
    first, second = (
        visitor.get(url, params={"h": f"Vary:{name}"}, headers={name: value}) for value in (one, other)
    )
    assert number(first) != number(second), f"{name}: expected two pages, got one page twice"
    again = visitor.get(url, params={"h": f"Vary:{name}"}, headers={name: one})
    assert (number(again), cache_status(again)) == (number(first), "HIT")


@pytest.mark.parametrize("method", ["POST", "PUT", "PROPFIND", "OPTIONS", "DELETE", "BREW"])
def test_cache_is_not_used_for_other_methods(visitor, method):
    url = page_url()
    visitor.session.request(method, url, timeout=20)
    assert cache_status(visitor.get(url)) == "MISS"
    response = visitor.session.request(method, url, timeout=20)
    code, cached = response.status_code, cache_status(response)
    assert cached == "BYPASS" or code >= 400, (code, cached)


def test_cache_stores_page_with_body_after_head(visitor):
    url = page_url()
    head = visitor.session.head(url, timeout=20)
    assert (cache_status(head), head.text) == ("MISS", "")
    body = visitor.get(url)
    assert cache_status(body) == "HIT" and number(body), "expected a cached page with a body after HEAD"


def test_cache_stores_whole_page_after_range_request(visitor):
    url = page_url()
    visitor.get(url, headers={"Range": "bytes=0-3"})
    whole = visitor.get(url)
    assert whole.status_code == 200 and number(whole)
    conditional = visitor.get(url, headers={"If-None-Match": "*"})
    assert conditional.status_code in (200, 304), conditional.status_code


@pytest.mark.parametrize(
    "suffixes",
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
def test_cache_separates_similar_urls(visitor, suffixes):
    url = page_url()
    # With curl, because requests normalizes URLs.
    bodies = [run_curl(visitor, url + suffix) for suffix in suffixes]
    assert bodies[0] != bodies[1], f"expected two pages for {suffixes}, got one"


def run_curl(visitor, url: str, *arguments: str) -> str:
    """Request a URL without normalizing it, and return the body."""
    address, port = visitor.endpoint(443)
    command = ["curl", "-s", "--path-as-is", "--cacert", visitor.ca, "--max-time", "20"]
    command += ["--connect-to", f"::{address}:{port}", *arguments, url]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "www.mirror.test"},
        {"Host": "MIRROR.TEST"},
        {"Host": "mirror.test:443"},
        {"Host": "mirror.test."},
        {"X-Forwarded-Host": "evil.test"},
        {"X-Forwarded-Scheme": "http"},
        {"X-Original-URL": "/page/evil"},
        {"Forwarded": "host=evil.test"},
    ],
    ids=str,
)
def test_cache_ignores_forged_hosts(visitor, headers):
    url = page_url()
    visitor.session.get(url, headers=headers, timeout=20, allow_redirects=False)
    got = json.loads(visitor.get(url).text)
    assert "evil" not in str(got) and got["host"].split(":")[0] == "mirror.test", got


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
@pytest.mark.parametrize("length", ["Content-Length: 4", "Content-Length:", "Transfer-Encoding: chunked"])
def test_cache_stores_no_response_to_get_with_body(visitor, version, length):
    """An application may read the body of a GET, but the cache key does not contain the body."""
    url = page_url()
    run_curl(visitor, url, version, "-X", "GET", "-H", length, "--data", "evil")
    got = visitor.get(url)
    assert "evil" not in got.text, f"expected a page without the body of another request, got {got.text}"


def test_cache_skips_excepted_paths(visitor):
    for path in ("/page/form", "/page/formular", "/page/%66orm", "/healthz", "/health%7a"):
        got = {run_curl(visitor, MIRROR + path) for _ in range(2)}
        assert len(got) == 2, f"{path}: expected two different pages, got {got}"


@pytest.mark.parametrize("target", ["/page/x/../form", "/page//form", "/page/form/..%2fx", "/page/./x"])
def test_cache_skips_paths_that_nginx_normalizes(visitor, target):
    got = [raw_request(visitor, "GET", target)[1] for _ in range(2)]
    assert got[0] != got[1] or "number" not in got[0], f"{target}: expected two different pages, got {got}"


def test_cache_disabled_sends_no_cache_header(visitor):
    for _ in range(2):
        assert "Cache-Status" not in visitor.get("https://myproject.test/").headers


def test_cache_separates_concurrent_clients(visitor):
    """Clients with and without a session request one URL concurrently, and get pages for their own cookie."""
    url, wrong = page_url(), []
    stop = threading.Event()

    def visit(name: str) -> None:
        session, cookie = requests_session(visitor), f"session={name}" if name else ""
        while not stop.is_set():
            headers: dict[str, Any] = {"Cookie": cookie} if cookie else {}
            got = json.loads(session.get(url, headers=headers, timeout=20).text)["cookie"]
            if got != cookie:
                wrong.append((cookie, got))

    threads = [threading.Thread(target=visit, args=(name,)) for name in ("", "", "ada", "bob", "")]
    for thread in threads:
        thread.start()
    time.sleep(4)
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong, f"expected the cookie of the request in each page, got (sent, received): {wrong[:5]}"
