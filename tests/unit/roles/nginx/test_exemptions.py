"""Exemptions of nginx apply to the health path only, however a client writes a path."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from nginx_server import Server, running_nginx
from templates_cases import MINIMAL

HEALTH = {"health": {"path": "/readyz"}}
SITES = {
    "closed": {**MINIMAL, **HEALTH, "server_names": ["closed.test"]},
    "secret": {
        **MINIMAL,
        **HEALTH,
        "server_names": ["secret.test"],
        "static": [{"url": "/static/", "path": "static"}],
        "nginx": {"basic_auth": {"ada": "correct horse"}, "limits": False},
    },
    "cached": {
        **MINIMAL,
        **HEALTH,
        "server_names": ["cached.test"],
        "nginx": {"cache": {"seconds": 60, "except": ["/log-in"]}, "limits": False},
    },
    "limited": {
        **MINIMAL,
        "server_names": ["limited.test"],
        "static": [{"url": "/static/", "path": "static"}],
        "nginx": {"limits": {"rate": 1, "burst": 1}},
    },
}
# Targets that contain an exempt path, or that some program could read as one.
TARGETS = [
    "/.decanter/x",
    "/.decanter/",
    "/.decanter/error.html",
    "/.decanter/maintenance.json",
    "/.decanter/health/secret",
    "/.%64ecanter/x",
    "/admin/..%2f.decanter/x",
    "/admin/../.decanter/x",
    "/admin/%2e%2e/readyz",
    "/admin/../readyz",
    "/admin/..%2freadyz",
    "/admin/..%2Freadyz",
    "/admin/./../readyz",
    "//readyz",
    "/./readyz",
    "/%72eadyz",
    "/readyz/",
    "/readyz/../admin",
    "/readyz/..%2fadmin",
    "/readyz%2f..%2fadmin",
    "/readyz;/admin",
    "/readyz%00/admin",
    "/readyz%3f/admin",
    "/readyz%23/admin",
    "/READYZ",
    "/readyz.",
    "/static/../admin",
    "/static/..%2fadmin",
    "/.well-known/acme-challenge/x",
    "/.well-known/acme-challenge/../../admin",
    "https://HOST/admin",
    "https://HOST/admin/../readyz",
    "https://other.test/readyz/../admin",
    "/admin?/readyz",
    "/admin#/readyz",
    "*",
]
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND", "get"]
# The request lines with which an exempt request reaches the application.
HEALTH_LINES = ("GET /readyz HTTP/1.1", "HEAD /readyz HTTP/1.1")
LOGIN = {"Authorization": f"Basic {base64.b64encode(b'ada:correct horse').decode()}"}


@pytest.fixture(scope="module")
def nginx() -> Iterator[Server]:
    with running_nginx(SITES, nginx_cache_status_shown=True) as server:
        (server.root / "var/lib/decanter/maintenance/closed/closed").touch()
        yield server


def wrong_requests(nginx: Server, site: str, rejected: set[int]) -> list[str]:
    """Return the requests that reach the application other than as a health check."""
    wrong = []
    for target in TARGETS:
        for method in METHODS if target in TARGETS[::6] else ("GET", "POST"):
            response = nginx.request(target.replace("HOST", f"{site}.test"), method, f"{site}.test")
            allowed = response.forwarded in HEALTH_LINES or response.status in rejected
            if not allowed:
                wrong.append(f"{method} {target}: {response.status} {response.forwarded}")
    return wrong


def test_password_is_required_for_all_but_health_path(nginx):
    wrong = wrong_requests(nginx, "secret", {0, 400, 401, 404, 405, 421})
    assert not wrong, f"expected 401 without a password, got {wrong}"
    for target in ("/.decanter/x", "/admin/..%2freadyz", "//a/./b"):
        response = nginx.request(target, host="secret.test", headers=LOGIN)
        if response.forwarded:
            lines = (f"GET {target} HTTP/1.1", *HEALTH_LINES)
            assert response.forwarded in lines, f"{target}: expected {lines}, got {response.forwarded}"
            assert response.received("Authorization") == [], "expected no password in the application"


def test_maintenance_closes_all_but_health_path(nginx):
    wrong = wrong_requests(nginx, "closed", {0, 400, 404, 405, 421, 503})
    assert not wrong, f"expected 503 during maintenance, got {wrong}"


@pytest.mark.parametrize("site", ["secret", "closed"])
@pytest.mark.parametrize("method", METHODS)
def test_health_path_is_exempt_for_get_and_head_only(nginx, site, method):
    response = nginx.request("/readyz?a=b", method, f"{site}.test")
    exempt = method in ("GET", "HEAD")
    expected = {200} if exempt else {401, 503, 405, 400}
    assert response.status in expected, f"{site}: {method}: expected {expected}, got {response.status}"
    if method == "GET":
        assert response.forwarded == "GET /readyz?a=b HTTP/1.1", response.forwarded


def test_health_path_accepts_other_methods_with_password(nginx):
    response = nginx.request("/readyz", "POST", "secret.test", headers=LOGIN)
    assert response.forwarded == "POST /readyz HTTP/1.1", response


def test_cache_excludes_health_path_and_exceptions(nginx):
    targets = ["/readyz", "/%72eadyz", "/log-in", "/lo%67-in", "//log-in", "/log-in/../a", "/log-in/..%2fa"]
    targets += ["/log-in%2f..%2fa", "/a/../log-in", "/log-in/%2e%2e/a", "/log-in?a", "/log-in/./b"]
    for target in targets:
        got = [nginx.request(target, host="cached.test").headers.get("cache-status", "") for _ in range(2)]
        assert not any("; hit" in status for status in got), f"{target}: expected no hit, got {got}"
    cached = [nginx.request("/page", host="cached.test").headers.get("cache-status", "") for _ in range(2)]
    assert len(set(cached)) == 2, f"expected a miss and a hit for a page, got {cached}"


def test_limits_count_each_request_of_the_application(nginx):
    targets = ["/a", "//readyz", "/static/missing", "/static/../a", "/a/../static/x", "/.decanter/x"]
    with ThreadPoolExecutor(18) as pool:
        got = list(pool.map(lambda target: nginx.request(target, host="limited.test").status, targets * 3))
    assert got.count(429) > 5, f"expected 429 more than 5 times, got {got}"
