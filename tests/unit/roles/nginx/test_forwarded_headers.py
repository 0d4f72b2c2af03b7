"""The headers of a request that nginx forwards: those about the client, and none that a client can forge."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml
from nginx_server import Server, running_nginx
from repository import ROOT
from templates_cases import MINIMAL

SITES = {"site": {**MINIMAL, "server_names": ["site.test"], "health": {"path": "/readyz"}}}
LOAD_BALANCER = "127.0.0.1"
CDN = "198.51.100.0/24"
EDGE = yaml.safe_load((ROOT / "roles/aws/vars/main/load_balancer.yml").read_text())["__aws_edge_header"]
NAMES = """
Forwarded Proxy REMOTE_ADDR SCRIPT_NAME X-Client-Port X-Forwarded-For X-Forwarded-Host X-Forwarded-Port
X-Forwarded-Prefix X-Forwarded-Proto X-Forwarded-Protocol X-Forwarded-Scheme X-Forwarded-Server
X-Forwarded-Ssl X-Original-URL X-Real-IP X-Request-ID X-Rewrite-URL X_Client_Port X_Forwarded_For
"""
FORGED = dict.fromkeys([*NAMES.split(), EDGE], "203.0.113.66")


@pytest.fixture(scope="module")
def direct() -> Iterator[Server]:
    with running_nginx(SITES) as server:
        yield server


@pytest.fixture(scope="module")
def proxied() -> Iterator[Server]:
    """nginx behind an ALB, and an ALB behind CloudFront."""
    with running_nginx(SITES, nginx_trusted_proxies=[LOAD_BALANCER, CDN]) as server:
        yield server


@pytest.mark.parametrize("path", ["/page", "/readyz"])
def test_headers_of_client_are_replaced(direct, path):
    response = direct.request(path, host="site.test", headers=FORGED)
    assert response.status == 200, response
    assert "203.0.113.66" not in response.body, f"expected no header of the client, got {response.body}"
    expected = {
        "Host": ["site.test"],
        "X-Forwarded-For": ["127.0.0.1"],
        "X-Forwarded-Host": ["site.test"],
        "X-Forwarded-Proto": ["https"],
        EDGE: [],
    }
    got = {name: response.received(name) for name in expected}
    assert got == expected, f"expected {expected}, got {got}"
    (port,) = response.received("X-Client-Port")
    assert 0 < int(port) < 65536, f"expected the port of the client, got {port}"


def test_absolute_uri_decides_the_host(direct):
    response = direct.request("https://site.test/page", host="site.test", headers={"X-A": "b"})
    assert response.received("Host") == ["site.test"], response.body
    assert response.forwarded == "GET /page HTTP/1.1", response.forwarded


@pytest.mark.parametrize(
    ("forwarded_for", "expected"),
    [
        ("203.0.113.1", "203.0.113.1"),
        ("10.0.0.1, 203.0.113.2", "203.0.113.2"),  # the first address is forged
        ("10.0.0.1, 203.0.113.3, 198.51.100.7", "203.0.113.3"),
        ("2001:db8::5, 198.51.100.7", "2001:db8::5"),
    ],
)
def test_client_behind_proxies_has_no_port(proxied, forwarded_for, expected):
    headers = {"X-Forwarded-For": forwarded_for, "X-Client-Port": "1", EDGE: "secret"}
    response = proxied.request("/page", host="site.test", headers=headers)
    got = [response.received(name) for name in ("X-Forwarded-For", "X-Client-Port", EDGE)]
    assert got == [[expected], [], []], f"{forwarded_for}: expected {expected} and no port, got {got}"
