"""Headers of responses, redirects, compression and the access log."""

from __future__ import annotations

import gzip
import json
import re
import socket
import time

import pytest
import requests

SITE, MIRROR = "https://harbour.test", "https://mirror.test"
# Headers of each site, unless the inventory or the application sets other values.
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
# Headers of the site mirror, which changes some of them in the inventory.
MIRROR_HEADERS = DEFAULTS | {
    "X-Frame-Options": "DENY",
    "Permissions-Policy": None,
    "Content-Security-Policy": "default-src 'self'",
}


def headers(response: requests.Response) -> dict[str, list[str]]:
    """Return the list of values of each header, by lower-case names, because requests joins the values."""
    got: dict[str, list[str]] = {}
    for name, value in response.raw.headers.iteritems():
        got.setdefault(name.lower(), []).append(value)
    return got


def assert_headers(response: requests.Response, expected: dict[str, str | None]) -> None:
    got = headers(response)
    for name, value in expected.items():
        values = got.get(name.lower(), [])
        assert values == ([value] if value else []), (
            f"{response.status_code} {response.url}: expected {name}: {value} once, got {values}"
        )


@pytest.mark.parametrize("path", ["/listings/", "/nowhere", "/static/style.css", "/static/nowhere.css"])
def test_headers_default_for_site_without_settings(visitor, path):
    # Only once, because the application of harbour sends some of the headers itself.
    response = visitor.get(SITE + path)
    got = headers(response)
    for name in DEFAULTS:
        assert len(got.get(name.lower(), [])) == 1, f"{path}: expected {name} once, got {got}"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/page/a", 200),
        ("/page/a?status=404", 404),
        ("/page/a?status=500", 500),
        ("/static/style.css", 200),
        ("/static/nowhere.css", 404),
        ("/with", 308),
        ("/.decanter/error.html", 404),
    ],
)
def test_headers_changed_and_removed_by_site(visitor, path, status):
    response = visitor.get(MIRROR + path)
    assert response.status_code == status, f"expected {status} for {path}, got {response.status_code}"
    assert_headers(response, MIRROR_HEADERS)


def test_headers_same_in_responses_of_nginx(visitor):
    assert_headers(visitor.post(f"{MIRROR}/page/a", {"a": "x" * 1_100_000}), MIRROR_HEADERS)
    redirect = visitor.get("https://www.mirror.test/page/a")
    assert redirect.status_code == 308
    assert_headers(redirect, MIRROR_HEADERS)


def test_headers_same_in_304_of_static_file(visitor):
    modified = visitor.get(f"{MIRROR}/static/style.css").headers["Last-Modified"]
    response = visitor.get(f"{MIRROR}/static/style.css", headers={"If-Modified-Since": modified})
    assert response.status_code == 304, f"expected 304, got {response.status_code}"
    assert_headers(response, MIRROR_HEADERS)


@pytest.mark.parametrize("name", [name for name in MIRROR_HEADERS if name != "X-Robots-Tag"])
def test_headers_of_application_replace_defaults(visitor, name):
    response = visitor.get(f"{MIRROR}/page/a", params={"h": f"{name}:its own"})
    assert_headers(response, MIRROR_HEADERS | {name: "its own"})


def test_headers_application_cannot_allow_indexing_of_lab(visitor):
    assert_headers(visitor.get(f"{MIRROR}/page/a", params={"h": "X-Robots-Tag:all"}), MIRROR_HEADERS)


def test_server_header_has_no_version(visitor):
    for path in ("/page/a", "/static/style.css"):
        assert headers(visitor.get(MIRROR + path))["server"] == ["nginx"]


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
def test_static_cache_control_depends_on_file_name(visitor, name, expected):
    got = headers(visitor.get(f"{MIRROR}/static/{name}"))["cache-control"]
    assert got == [expected], f"{name}: expected {expected}, got {got}"


def test_static_missing_file_gets_no_cache_control(visitor):
    response = visitor.get(f"{MIRROR}/static/nowhere.0123abcd.css")
    assert (response.status_code, response.headers.get("Cache-Control")) == (404, None), response.headers


# --- Slashes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status", "target"),
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
def test_trailing_slash_is_handled_by_application(visitor, variables, path, status, target):
    port = "" if variables["lab_https_port"] == 443 else f":{variables['lab_https_port']}"
    response = visitor.get(MIRROR + path)
    got = response.headers.get("Location")
    locations = [None] if target is None else [target, f"{MIRROR}{port}{target}"]
    assert response.status_code == status and got in locations, (
        f"expected {status} {target}, got {response.status_code} {got}"
    )


@pytest.mark.parametrize(("path", "status"), [("/listings", 308), ("/submit/", 404), ("/healthz/", 404)])
def test_trailing_slash_of_harbour_is_unchanged(visitor, path, status):
    response = visitor.get(SITE + path)
    assert response.status_code == status, f"expected {status} for {path}, got {response.status_code}"


# --- Access log --------------------------------------------------------------------------------


def test_access_log_is_json_without_query_and_referer(host, visitor):
    forwarded = json.loads(
        visitor.get(f"{MIRROR}/seen?secret=hunter2", headers={"Referer": f"{MIRROR}/?key=hunter2"}).text
    )
    request_id = dict(forwarded)["X-Request-Id"]
    with host.sudo():
        line = host.check_output("grep %s /var/log/nginx/access.log", request_id)
        assert "hunter2" not in host.check_output("tail -50 /var/log/nginx/access.log")
    got = json.loads(line)
    assert (got["path"], got["status"], got["client"]) == ("/seen", "200", visitor.own_address()), got
    assert float(got["upstream_seconds"]) >= 0 and got["request_id"] == request_id, got


def test_error_log_has_no_query_and_referer(host, visitor):
    with visitor.handshake("mirror.test") as connection:
        connection.sendall(
            b"POST /page/rejected?secret=hunter2 HTTP/1.1\r\nHost: mirror.test\r\n"
            b"Referer: https://mirror.test/?key=hunter2\r\nContent-Length: 999999999\r\n\r\n"
        )
        connection.recv(1000)
    deadline = time.monotonic() + 10
    with host.sudo():
        while not (
            line := host.run("grep -F 'POST /page/rejected' /var/log/nginx/error.log | tail -1").stdout
        ):
            assert time.monotonic() < deadline, "expected a line about the request within 10 s"
            time.sleep(0.2)
        assert host.run("grep -c hunter2 /var/log/nginx/error.log").stdout.strip() == "0", line
    assert "too large body" in line and 'request: "POST /page/rejected?…", host: "mirror.test"' in line, line


def test_large_logs_are_rotated(host):
    with host.sudo():
        output = host.run("logrotate --debug /etc/logrotate.d/nginx 2>&1").stdout
    assert "/var/log/nginx/*.log" in output and "log files >= 104857600 are rotated earlier" in output, output
    timer = host.check_output(
        "systemctl show --property=UnitFileState,ActiveState,TimersCalendar logrotate.timer"
    )
    assert "UnitFileState=enabled" in timer and "ActiveState=active" in timer, timer
    assert timer.count("OnCalendar=") == 1 and "OnCalendar=*-*-* *:00/5:00" in timer, timer


# --- Requests without a hostname ---------------------------------------------------------------


def test_request_without_hostname_gets_no_response(host, visitor):
    for version in (b"GET / HTTP/1.0\r\n\r\n", b"GET /\r\n\r\n"):
        with socket.create_connection(visitor.endpoint(80), 10) as plain:
            plain.sendall(version)
            try:
                got = plain.recv(1000)
            except ConnectionResetError:
                got = b""
        assert got == b"", f"expected no response to {version!r}, got {got!r}"
    request = """
import http.client, ssl, sys
scheme, address = sys.argv[1:]
options = {"context": ssl._create_unverified_context()} if scheme == "https" else {}
connection = getattr(http.client, f"{scheme.upper()}Connection")(address, **options)
connection.request("GET", "/")
print(connection.getresponse().status)
"""
    for scheme in ("http", "https"):
        for address in ("127.0.0.1", "[::1]"):
            got = host.run("python3 -c %s %s %s", request, scheme, address)
            closed = re.search("RemoteDisconnected|reset|SSL|alert", got.stderr)
            assert closed and not got.stdout, f"expected no response at {scheme} {address}, got {got}"


def test_compression_follows_accept_encoding(visitor):
    url = f"{MIRROR}/static/style.0123abcd.css"
    plain = visitor.get(url, headers={"Accept-Encoding": "identity"})
    packed = visitor.session.get(url, headers={"Accept-Encoding": "gzip"}, stream=True)
    body = packed.raw.read(decode_content=False)
    assert packed.headers["Content-Encoding"] == "gzip", packed.headers
    assert gzip.decompress(body) == plain.content
    assert packed.headers["Content-Length"] == str(len(body)), "expected a precompressed file"
    assert packed.headers["Last-Modified"] == plain.headers["Last-Modified"]
    assert "Accept-Encoding" in packed.headers["Vary"] and "Content-Encoding" not in plain.headers
