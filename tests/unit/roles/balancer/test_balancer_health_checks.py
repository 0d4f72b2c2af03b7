"""Requests of the balancer for the health of web hosts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from balancer_program import SITE, WebHost, self_signed


@pytest.fixture
def probe(balancer, folders, tmp_path) -> Callable[..., Any]:
    """Check a web host with these attributes; return the fault and the host."""

    def run(attributes: dict | None = None, site: dict | None = None, **settings: Any):
        host = WebHost(tmp_path)
        vars(host).update(attributes or {})

        async def once() -> str:
            async with host.listening() as port:
                one = balancer("web1", sites=(SITE | (site or {}),), **settings)
                one.configuration["hosts"][0]["port"] = port
                return await one.probe(one.sites["site"][0])

        return asyncio.run(once()), host

    return run


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("200 OK", ""),
        ("302 Found", ""),
        ("404 Not Found", "404 Not Found"),
        ("503 Service Unavailable", "503 Service Unavailable"),
        ("", "no response (the connection was closed)"),
        ("SMTP/2 hello", "no response (not HTTP: 'SMTP/2 hello')"),
    ],
)
def test_status_determines_the_fault(probe, status, expected):
    fault, _ = probe({"status": status})
    assert fault == expected


def test_check_requests_the_health_path_by_name(probe):
    fault, host = probe()
    [request] = host.requests
    assert fault == "" and request.startswith("GET /readyz HTTP/1.1\r\nHost: site.test\r\n"), request


def test_check_of_an_ipv6_address_puts_it_in_brackets(probe):
    _, host = probe(site={"server_names": ["fd00::1"], "tls_name": "fd00::1"})
    assert "Host: [fd00::1]\r\n" in host.requests[0], host.requests


def test_slow_host_fails_the_check(probe):
    assert probe({"delay": 1}, timeout=0.1)[0] == "no response within 0.1 s"


def test_unreachable_host_fails_the_check(balancer):
    one = balancer("web1")
    fault = asyncio.run(one.probe(one.sites["site"][0]))
    assert fault == "no response (Connection refused)", fault


def test_certificate_is_verified_by_ca_and_name(probe, tmp_path):
    other = tmp_path / "other.pem"
    other.write_bytes(self_signed("other.test"))
    assert probe(site={"verified": True}, authority=str(tmp_path / "site.test.pem"))[0] == ""
    fault, _ = probe(site={"verified": True}, authority=str(other))
    assert fault.startswith("its certificate is invalid ("), fault
    names = {"verified": True, "tls_name": "www.site.test"}
    fault, _ = probe(site=names, authority=str(tmp_path / "site.test.pem"))
    assert "www.site.test" in fault, fault


def test_proxy_header_precedes_the_handshake(balancer):
    """With balancer_tls_mode: passthrough, web hosts reject connections without a PROXY header."""

    async def once() -> bytes:
        received = asyncio.get_running_loop().create_future()

        async def read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            received.set_result(await reader.readexactly(16))
            writer.close()

        async with await asyncio.start_server(read, "127.0.0.1", 0) as server:
            one = balancer("web1", proxy_protocol=True)
            one.configuration["hosts"][0]["port"] = server.sockets[0].getsockname()[1]
            await one.probe(one.sites["site"][0])
        return await received

    # The first byte of a handshake follows.
    assert asyncio.run(once()) == b"PROXY UNKNOWN\r\n\x16"
