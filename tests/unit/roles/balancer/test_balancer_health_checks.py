"""Requests of the balancer for the health of web hosts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from balancer_program import SITE, WebHost, made_certificate


@pytest.fixture
def asked(balancer, folders, tmp_path) -> Callable[..., Any]:
    """What is found wrong with a web host that answers so, and the host."""

    def ask(prepare: Callable[[WebHost], None] = lambda _: None, site: dict | None = None, **settings: Any):
        host = WebHost(tmp_path)
        prepare(host)

        async def once() -> str:
            async with host.listening() as port:
                one = balancer("web1", sites=(SITE | (site or {}),), **settings)
                one.configuration["hosts"][0]["port"] = port
                return await one.ask(one.sites["site"][0])

        return asyncio.run(once()), host

    return ask


def answering(**what: Any) -> Callable[[WebHost], None]:
    return lambda host: vars(host).update(what)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("200 OK", ""),
        ("302 Found", ""),
        ("404 Not Found", "404 Not Found"),
        ("503 Service Unavailable", "503 Service Unavailable"),
        ("", "no answer (the connection was closed)"),
        ("SMTP/2 hello", "no answer (no HTTP: 'SMTP/2 hello')"),
    ],
)
def test_the_answer_decides(asked, answer, expected):
    fault, _ = asked(answering(answer=answer))
    assert fault == expected


def test_it_asks_as_a_visitor_would(asked):
    fault, host = asked()
    [request] = host.asked
    assert fault == "" and request.startswith("GET /readyz HTTP/1.1\r\nHost: site.test\r\n"), request


def test_an_address_is_asked_for_by_it(asked):
    _, host = asked(site={"server_names": ["fd00::1"], "tls_name": "fd00::1"})
    assert "Host: [fd00::1]\r\n" in host.asked[0], host.asked


def test_who_is_slow_has_not_answered(asked):
    assert asked(answering(delay=1), timeout=0.1)[0] == "no answer within 0.1 s"


def test_who_is_not_there_has_not_answered(balancer):
    one = balancer("web1")
    fault = asyncio.run(one.ask(one.sites["site"][0]))
    assert fault == "no answer (Connection refused)", fault


def test_a_certificate_is_verified_where_it_can_be(asked, tmp_path):
    other = tmp_path / "other.pem"
    other.write_bytes(made_certificate("other.test"))
    assert asked(site={"verified": True}, authority=str(tmp_path / "site.test.pem"))[0] == ""
    fault, _ = asked(site={"verified": True}, authority=str(other))
    assert fault.startswith("its certificate is refused ("), fault
    names = {"verified": True, "tls_name": "www.site.test"}
    fault, _ = asked(site=names, authority=str(tmp_path / "site.test.pem"))
    assert "www.site.test" in fault, fault


def test_a_proxy_header_comes_before_the_handshake(balancer):
    """With balancer_tls_mode: passthrough, web hosts reject connections without a PROXY header."""

    async def once() -> bytes:
        got = asyncio.get_running_loop().create_future()

        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            got.set_result(await reader.readexactly(16))
            writer.close()

        async with await asyncio.start_server(take, "127.0.0.1", 0) as server:
            one = balancer("web1", proxy_protocol=True)
            one.configuration["hosts"][0]["port"] = server.sockets[0].getsockname()[1]
            await one.ask(one.sites["site"][0])
        return await got

    # The first byte of a handshake follows.
    assert asyncio.run(once()) == b"PROXY UNKNOWN\r\n\x16"
