"""A site below a path of another site's name has settings, limits, cache and pages of its own."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest
from nginx_server import Server, running_nginx
from templates_cases import MINIMAL

SITES = {
    "shop": {
        **MINIMAL,
        "server_names": ["home.test"],
        "path": "/shop",
        "health": {"path": "/readyz"},
        "static": [{"url": "/static/", "path": "static"}],
        "nginx": {
            "client_max_body_size": "2k",
            "headers": {"X-Frame-Options": "DENY"},
            "basic_auth": {"ada": "correct horse"},
            "cache": {"seconds": 60},
            "limits": False,
        },
    },
    "home": {
        **MINIMAL,
        "server_names": ["home.test", "www.home.test"],
        "static": [{"url": "/static/", "path": "static"}],
        "nginx": {"limits": False},
    },
}
LOGIN = {"Authorization": f"Basic {base64.b64encode(b'ada:correct horse').decode()}"}


@pytest.fixture(scope="module")
def nginx() -> Iterator[Server]:
    with running_nginx(SITES, nginx_cache_status_shown=True) as server:
        for site in SITES:
            (assets := server.root / f"srv/{site}/assets/static").mkdir(parents=True)
            (assets / "a.css").write_text(site)
            (assets / "maintenance.html").write_text(f"{site} is closed")
        yield server


@pytest.mark.parametrize(
    ("target", "headers", "prefix"),
    [
        ("/", {}, []),
        ("/shopping", {}, []),
        ("/shop.html", {}, []),
        ("/shop/", LOGIN, ["/shop"]),
        ("/shop/a%2fb?c=/d", LOGIN, ["/shop"]),
        ("/shop/static/missing.css", LOGIN, ["/shop"]),
        ("/shop/readyz", {}, ["/shop"]),
        ("/static/missing.css", {}, []),
    ],
)
def test_path_selects_the_application(nginx, target, headers, prefix):
    response = nginx.request(target, host="home.test", headers=headers | {"X-Forwarded-Prefix": "/evil"})
    got = (response.status, response.forwarded, response.received("X-Forwarded-Prefix"))
    expected = (200, f"GET {target} HTTP/1.1", prefix)
    assert got == expected, f"{target}: expected {expected}, got {got}"


@pytest.mark.parametrize("target", ["/x/../shop/a", "//shop/a", "/%73hop/a", "/shop%2fa", "/./shop/a"])
def test_path_is_not_forwarded_without_its_prefix(nginx, target):
    """gunicorn removes the prefix from the path as it arrived."""
    got = nginx.request(target, host="home.test", headers=LOGIN)
    assert (got.status, got.forwarded) == (404, ""), f"{target}: expected 404, got {got}"


def test_path_without_slash_is_redirected(nginx):
    response = nginx.request("/shop?a=b", host="home.test")
    got = (response.status, response.headers.get("location"))
    expected = (308, "https://home.test/shop/?a=b")
    assert got == expected, f"expected {expected}, got {got}"


def test_settings_of_each_site_apply(nginx):
    got = {
        "password": nginx.request("/shop/", host="home.test").status,
        "no password": nginx.request("/", host="home.test").status,
        "static": [
            nginx.request(f"{path}/static/a.css", host="home.test", headers=LOGIN).body
            for path in ("", "/shop")
        ],
        "static without password": nginx.request("/shop/static/a.css", host="home.test").status,
        "header": nginx.request("/shop/", host="home.test", headers=LOGIN).headers["x-frame-options"],
        "header of the other": nginx.request("/", host="home.test").headers["x-frame-options"],
        "cache": [
            nginx.request(path, host="home.test").headers.get("cache-status")
            for path in ("/shop/readyz", "/")
        ],
        "body": nginx.request("/shop/a", "POST", "home.test", LOGIN | {"Content-Length": "3000"}).status,
    }
    expected = {
        "password": 401,
        "no password": 200,
        "static": ["home", "shop"],
        "static without password": 401,
        "header": "DENY",
        "header of the other": "SAMEORIGIN",
        "cache": ["nginx; fwd=bypass; detail=BYPASS", None],
        "body": 413,
    }
    assert got == expected, f"expected {expected}, got {got}"


@pytest.mark.parametrize(("closed", "other"), [("shop", "home"), ("home", "shop")])
def test_maintenance_of_one_site_leaves_the_other_open(nginx, closed, other):
    paths = {"shop": "/shop/readyz/x", "home": "/page"}
    marker = nginx.root / f"var/lib/decanter/maintenance/{closed}/closed"
    marker.touch()
    try:
        page, open_page = (
            nginx.request(paths[site], host="home.test", headers=LOGIN) for site in (closed, other)
        )
        health = nginx.request("/shop/readyz", host="home.test")
    finally:
        marker.unlink()
    assert (page.status, page.body) == (503, f"{closed} is closed"), page
    assert (open_page.status, health.status) == (200, 200), f"{open_page}, {health}"


def test_error_page_belongs_to_the_site(nginx):
    (nginx.root / "srv/shop/assets/static/error.html").write_text("shop is down")
    socket = nginx.root / "run/decanter/shop/live.sock"
    socket.rename(moved := socket.with_name("moved"))
    try:
        page = nginx.request("/shop/a", host="home.test", headers=LOGIN)
    finally:
        moved.rename(socket)
    assert (page.status, page.body) == (502, "shop is down"), page
    hidden = nginx.request("/shop/.decanter/error.html", host="home.test", headers=LOGIN)
    assert hidden.status == 404, f"expected 404 for the error page itself, got {hidden}"
