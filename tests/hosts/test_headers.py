"""What answers say about themselves, to whom it is said, and what nobody can make nginx believe."""

from __future__ import annotations

import gzip
import json
import re
import socket

import pytest
import requests

SITE, MIRROR = "https://harbour.test", "https://mirror.test"
# What each site says where neither it nor its application says otherwise.
DEFAULTS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin-allow-popups",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Strict-Transport-Security": "max-age=300",
    "X-Robots-Tag": "noindex, nofollow",
}
OWN = DEFAULTS | {
    "X-Frame-Options": "DENY",
    "Permissions-Policy": None,
    "Content-Security-Policy": "default-src 'self'",
}


def headers(answer: requests.Response) -> dict[str, list[str]]:
    """Each header with all its values, in lower case: requests would join them."""
    got: dict[str, list[str]] = {}
    for name, value in answer.raw.headers.iteritems():
        got.setdefault(name.lower(), []).append(value)
    return got


def assert_said(answer: requests.Response, expected: dict[str, str | None]) -> None:
    got = headers(answer)
    for name, value in expected.items():
        values = got.get(name.lower(), [])
        assert values == ([value] if value else []), (
            f"{answer.status_code} {answer.url}: expected {name}: {value} once, got {values}"
        )


@pytest.mark.parametrize("path", ["/listings/", "/nowhere", "/static/style.css", "/static/nowhere.css"])
def test_a_site_that_says_nothing_is_guarded(visitor, path):
    # Of those that Harbour does not send itself.
    answer = visitor.get(SITE + path)
    got = headers(answer)
    for name in DEFAULTS:
        assert len(got.get(name.lower(), [])) == 1, f"{path}: expected {name} once, got {got}"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/say/a", 200),
        ("/say/a?status=404", 404),
        ("/say/a?status=500", 500),
        ("/static/style.css", 200),
        ("/static/nowhere.css", 404),
        ("/with", 308),
        ("/.decanter/error.html", 404),
    ],
)
def test_a_site_changes_and_drops_headers(visitor, path, status):
    answer = visitor.get(MIRROR + path)
    assert answer.status_code == status, f"expected {status} for {path}, got {answer.status_code}"
    assert_said(answer, OWN)


def test_answers_of_nginx_alone_say_the_same(visitor):
    assert_said(visitor.post(f"{MIRROR}/say/a", {"a": "x" * 1_100_000}), OWN)
    other = visitor.get("https://www.mirror.test/say/a")
    assert other.status_code == 308
    assert_said(other, OWN)


def test_a_file_that_is_known_already_keeps_its_headers(visitor):
    known = visitor.get(f"{MIRROR}/static/style.css").headers["Last-Modified"]
    answer = visitor.get(f"{MIRROR}/static/style.css", headers={"If-Modified-Since": known})
    assert answer.status_code == 304, f"expected 304, got {answer.status_code}"
    assert_said(answer, OWN)


@pytest.mark.parametrize("name", [name for name in OWN if name != "X-Robots-Tag"])
def test_the_applications_own_word_is_the_only_one(visitor, name):
    assert_said(visitor.get(f"{MIRROR}/say/a", params={"h": f"{name}:its own"}), OWN | {name: "its own"})


def test_an_application_does_not_have_a_lab_listed(visitor):
    assert_said(visitor.get(f"{MIRROR}/say/a", params={"h": "X-Robots-Tag:all"}), OWN)


def test_no_version_is_told(visitor):
    for path in ("/say/a", "/static/style.css"):
        assert headers(visitor.get(MIRROR + path))["server"] == ["nginx"]


# --- Who the visitor is ------------------------------------------------------------------------

FORGED = {
    "X-Forwarded-For": "203.0.113.7",
    "X-Forwarded-Proto": "http",
    "X-Forwarded-Host": "evil.test",
    "X-Forwarded-Port": "1",
    "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-Server": "evil.test",
    "X-Forwarded-Scheme": "http",
    "X-Forwarded-Ssl": "off",
    "X-Real-IP": "203.0.113.7",
    "X-Original-URL": "/evil",
    "X-Rewrite-URL": "/evil",
    "X-Request-ID": "evil",
    "Forwarded": "for=203.0.113.7;host=evil.test",
    "Proxy": "http://evil.test/",
    "X_Forwarded_For": "203.0.113.7",
}


def seen(visitor, given: dict[str, str]) -> dict[str, list[str]]:
    """What arrives at the application, by names in lower case."""
    got: dict[str, list[str]] = {}
    answer = visitor.get(f"{MIRROR}/seen", headers=given)
    for name, value in json.loads(answer.text):
        got.setdefault(name.lower(), []).append(value)
    return got


@pytest.fixture
def own_address(visitor) -> str:
    """The address that this machine has for the host."""
    with socket.create_connection(visitor.place(443), 10) as connection:
        return connection.getsockname()[0]


def test_nothing_that_a_visitor_says_of_proxies_is_believed(visitor, variables, own_address):
    port = "" if variables["lab_https_port"] == 443 else f":{variables['lab_https_port']}"
    got = seen(visitor, FORGED)
    assert not [
        value for values in got.values() for value in values if "evil" in value or "203.0" in value
    ], f"expected nothing of what was forged, got {got}"
    assert got["x-forwarded-for"] == [own_address], f"expected {own_address}, got {got['x-forwarded-for']}"
    assert (got["x-forwarded-proto"], got["x-forwarded-host"]) == (["https"], [f"mirror.test{port}"]), got
    assert re.fullmatch("[0-9a-f]{32}", got["x-request-id"][0]), got["x-request-id"]


# --- Static files ------------------------------------------------------------------------------

YEAR = "public, max-age=31536000, immutable"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("style.0123abcd.css", YEAR),
        ("style.css?v=1", YEAR),
        ("style.css", "public, max-age=300"),
        ("report.20240101.css", "public, max-age=300"),  # a date
    ],
)
def test_files_are_kept_for_as_long_as_they_stay_the_same(visitor, name, expected):
    got = headers(visitor.get(f"{MIRROR}/static/{name}"))["cache-control"]
    assert got == [expected], f"{name}: expected {expected}, got {got}"


def test_a_missing_file_is_not_kept_for_a_year(visitor):
    answer = visitor.get(f"{MIRROR}/static/nowhere.0123abcd.css")
    assert (answer.status_code, answer.headers.get("Cache-Control")) == (404, None), answer.headers


# --- Slashes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status", "leads_to"),
    [
        ("/with/", 200, None),
        ("/with", 308, "/with/"),
        ("/with?a=b", 308, "/with/?a=b"),
        ("/without", 200, None),
        ("/without/", 404, None),
        ("/either", 200, None),
        ("/either/", 200, None),
    ],
)
def test_slashes_are_the_applications_to_decide(visitor, variables, path, status, leads_to):
    port = "" if variables["lab_https_port"] == 443 else f":{variables['lab_https_port']}"
    answer = visitor.get(MIRROR + path)
    got = answer.headers.get("Location")
    places = [None] if leads_to is None else [leads_to, f"{MIRROR}{port}{leads_to}"]
    assert answer.status_code == status and got in places, (
        f"expected {status} {leads_to}, got {answer.status_code} {got}"
    )


@pytest.mark.parametrize(("path", "status"), [("/listings", 308), ("/submit/", 404), ("/healthz/", 404)])
def test_harbours_slashes(visitor, path, status):
    answer = visitor.get(SITE + path)
    assert answer.status_code == status, f"expected {status} for {path}, got {answer.status_code}"


# --- What is written down ----------------------------------------------------------------------


def test_the_access_log_is_json_without_what_visitors_typed(host, visitor, own_address):
    number = json.loads(
        visitor.get(f"{MIRROR}/seen?secret=hunter2", headers={"Referer": f"{MIRROR}/?key=hunter2"}).text
    )
    number = dict(number)["X-Request-Id"]
    with host.sudo():
        line = host.check_output("grep %s /var/log/nginx/access.log", number)
        assert "hunter2" not in host.check_output("tail -50 /var/log/nginx/access.log")
    got = json.loads(line)
    assert (got["path"], got["status"], got["client"]) == ("/seen", "200", own_address), got
    assert float(got["upstream_seconds"]) >= 0 and got["request_id"] == number, got


def test_the_access_log_is_rotated(host):
    with host.sudo():
        said = host.run("logrotate --debug /etc/logrotate.d/nginx 2>&1").stdout
    assert "/var/log/nginx/*.log" in said and "rotate" in said, said
    assert host.run("systemctl is-enabled logrotate.timer").stdout.strip() == "enabled"


# --- Names that are not ours -------------------------------------------------------------------


def test_a_request_without_a_name_is_served_nothing(host, visitor):
    for version in (b"GET / HTTP/1.0\r\n\r\n", b"GET /\r\n\r\n"):
        with socket.create_connection(visitor.place(80), 10) as plain:
            plain.sendall(version)
            try:
                got = plain.recv(1000)
            except ConnectionResetError:
                got = b""
        assert got == b"", f"expected no answer to {version!r}, got {got!r}"
    ask = """
import http.client, ssl, sys
scheme, address = sys.argv[1:]
known = {"context": ssl._create_unverified_context()} if scheme == "https" else {}
connection = getattr(http.client, f"{scheme.upper()}Connection")(address, **known)
connection.request("GET", "/")
print(connection.getresponse().status)
"""
    for scheme in ("http", "https"):
        for address in ("127.0.0.1", "[::1]"):
            got = host.run("python3 -c %s %s %s", ask, scheme, address)
            closed = re.search("RemoteDisconnected|reset|SSL|alert", got.stderr)
            assert closed and not got.stdout, f"expected no answer at {scheme} {address}, got {got}"


def test_compression_is_of_the_visitors_choice(visitor):
    url = f"{MIRROR}/static/style.0123abcd.css"
    plain = visitor.get(url, headers={"Accept-Encoding": "identity"})
    packed = visitor.session.get(url, headers={"Accept-Encoding": "gzip"}, stream=True)
    body = packed.raw.read(decode_content=False)
    assert packed.headers["Content-Encoding"] == "gzip", packed.headers
    assert gzip.decompress(body) == plain.content
    assert packed.headers["Content-Length"] == str(len(body)), "expected a file that was compressed before"
    assert packed.headers["Last-Modified"] == plain.headers["Last-Modified"]
    assert "Accept-Encoding" in packed.headers["Vary"] and "Content-Encoding" not in plain.headers
