"""A site below a path of another site's name: `below` at https://mirror.test/below/."""

from __future__ import annotations

import pytest

MIRROR = "https://mirror.test"


@pytest.mark.parametrize("proxy_fix", ["", "?with=ProxyFix"])
def test_site_receives_its_path_as_script_name(visitor, proxy_fix):
    got = visitor.get(f"{MIRROR}/below/environ{proxy_fix}").json()
    expected = {"REMOTE_ADDR": visitor.own_address(), "SCRIPT_NAME": "/below", "PATH_INFO": "/environ"}
    shown = {key: got.get(key) for key in expected}
    assert shown == expected, f"expected {expected}, got {shown}"


def test_path_is_redirected_and_its_neighbours_are_those_of_the_other_site(visitor):
    bare = visitor.get(f"{MIRROR}/below")
    location = bare.headers.get("Location", "")
    is_redirect = bare.status_code == 308 and location.endswith("/below/")
    assert is_redirect, f"expected 308 to /below/, got {bare.status_code} to {location}"
    neighbour = visitor.get(f"{MIRROR}/belows/environ")
    assert neighbour.status_code == 404, f"expected 404 of mirror, got {neighbour.status_code}"


@pytest.mark.parametrize("path", ["/x/../below/environ", "/x/%2e%2e/below/environ", "//below/environ"])
def test_path_is_not_reached_by_normalization(visitor, path):
    with visitor.handshake("mirror.test") as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: mirror.test\r\nConnection: close\r\n\r\n".encode())
        got = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    assert got.startswith("HTTP/1.1 404 "), f"expected 404 for {path}, got {got[:300]}"


def test_headers_files_and_health_are_those_of_the_site(visitor):
    for path in ("/environ", "/static/style.css", "/healthz", "/nowhere"):
        response = visitor.get(f"{MIRROR}/below{path}")
        got = response.status_code, response.headers.get("X-Frame-Options")
        expected = 404 if path == "/nowhere" else 200, "SAMEORIGIN"
        assert got == expected, f"/below{path}: expected {expected}, got {got}"


def test_site_has_its_own_cache_and_processes(host, visitor):
    first, second = (visitor.get(f"{MIRROR}/below/page/path-of-a-site").json()["number"] for _ in range(2))
    other = visitor.get(f"{MIRROR}/page/path-of-a-site").json()["number"]
    assert first == second != other, f"expected a page of its own cache, got {first}, {second} and {other}"
    with host.sudo():
        host.check_output("pgrep --full --uid below gunicorn")  # fails if the user has no such process
