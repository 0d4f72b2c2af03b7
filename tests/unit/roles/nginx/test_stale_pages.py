"""The micro-cache serves stale pages while the application fails, and marks them (RFC 9211)."""

from __future__ import annotations

import time

import pytest
from nginx_server import running_nginx
from templates_cases import MINIMAL

SITES = {"cached": {**MINIMAL, "server_names": ["cached.test"], "nginx": {"cache": True, "limits": False}}}


@pytest.mark.parametrize("shown", [False, True])
def test_stale_page_during_outage_is_marked(shown):
    with running_nginx(SITES, nginx_cache_status_shown=shown) as nginx:
        got = []
        for status in (
            "200 OK",
            "200 OK",
            *["503 Service Unavailable"] * 2,
            *["500 Internal Server Error"] * 2,
        ):
            nginx.applications["cached"].status = status
            if status != "200 OK":
                time.sleep(2.1)  # the page is fresh for one second, and nginx counts whole seconds
            response = nginx.request("/page", host="cached.test")
            got.append((response.status, response.headers.get("cache-status")))
        other = nginx.request("/other", host="cached.test")
    stale = (200, "nginx; hit; detail=STALE")
    fresh = ["nginx; fwd=uri-miss; detail=MISS", "nginx; hit; detail=HIT"] if shown else [None, None]
    expected = [*((200, mark) for mark in fresh), *[stale] * 4]
    assert got == expected, f"expected {expected}, got {got}"
    assert other.status == 500, f"expected 500 for a page that is not in the cache, got {other.status}"
