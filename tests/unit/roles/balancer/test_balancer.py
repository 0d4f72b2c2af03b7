"""The service that asks web hosts for their health, against servers of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import importlib.util
import json
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from repository import ROOT

SERVICE = ROOT / "roles/balancer/files/balancer.py"
spec = importlib.util.spec_from_file_location("balancer_service", SERVICE)
service = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = service  # dataclasses look there
spec.loader.exec_module(service)


class WebHost:
    """A server on loopback that answers as it is told to."""

    def __init__(self, folder: Path, name: str = "site.test") -> None:
        self.answer, self.asked, self.delay = "200 OK", [], 0.0
        self.certificate = folder / f"{name}.pem"
        self.certificate.write_bytes(made_certificate(name))
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.certificate)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.asked.append(request)
        await asyncio.sleep(self.delay)
        if self.answer:
            version = "" if "/" in self.answer else "HTTP/1.1 "
            writer.write(f"{version}{self.answer}\r\nContent-Length: 0\r\n\r\n".encode())
        writer.close()

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=self.context)
        async with server:
            yield server.sockets[0].getsockname()[1]


def made_certificate(name: str) -> bytes:
    """PEM of a key and of a certificate that it has signed itself."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.timezone.utc)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + made.public_bytes(serialization.Encoding.PEM)


SITE = {
    "name": "site",
    "server_names": ["site.test", "www.site.test"],
    "tls_name": "site.test",
    "verified": False,
    "path": "/readyz",
}
SETTINGS = {
    "authority": "",
    "proxy_protocol": False,
    "interval": 0.02,
    "timeout": 0.5,
    "falls": 2,
    "rises": 2,
}


@pytest.fixture
def folders(tmp_path) -> tuple[Path, Path]:
    for name in ("run", "state"):
        (tmp_path / name).mkdir()
    return tmp_path / "run", tmp_path / "state"


@pytest.fixture
def balancer(folders) -> Callable[..., Any]:
    def make(*hosts: str, sites: tuple[dict[str, Any], ...] = (SITE,), **settings: Any) -> Any:
        named = [{"name": name, "address": "127.0.0.1", "port": 1} for name in hosts or ("web1", "web2")]
        made = service.Balancer(SETTINGS | {"hosts": named, "sites": list(sites)} | settings, *folders)
        made.prepare()
        return made

    return make


def links(folders: tuple[Path, Path], site: str = "site") -> set[str]:
    return {path.stem for path in (folders[0] / site).iterdir() if path.is_symlink()}


def told(one: Any, host: str, *faults: str) -> None:
    """Have a host answer so, again and again."""
    for fault in faults:
        [member] = [member for member in one.sites["site"] if member.name == host]
        member.count(fault, 2, 2)
        one.settle("site")


# --- Who is in ---------------------------------------------------------------------------------


def test_after_a_boot_all_are_in(balancer, folders):
    one = balancer()
    assert links(folders) == {"web1", "web2"}
    assert (folders[0] / "site/web1.sock").readlink() == Path("../web1.sock")
    told(one, "web1", "502")
    assert links(folders) == {"web1", "web2"}, "expected one failure to be forgiven"


def test_two_failures_take_out_and_two_successes_put_in(balancer, folders, capsys):
    one = balancer()
    told(one, "web2", "")
    told(one, "web1", "", "502 Bad Gateway", "", "502 Bad Gateway")
    assert links(folders) == {"web1", "web2"}
    told(one, "web1", "503 no")
    assert links(folders) == {"web2"}
    told(one, "web1", "", "503 no", "")
    assert links(folders) == {"web2"}
    told(one, "web1", "")
    assert links(folders) == {"web1", "web2"}
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == ["site: web1 is out: 503 no", "site: web1 is in"], lines


def test_all_stay_in_when_nobody_is_healthy(balancer, folders, capsys):
    one = balancer()
    told(one, "web1", "503", "503")
    told(one, "web2", "503", "503")
    assert links(folders) == {"web1", "web2"}
    assert "site: web1 is in, as nobody is healthy: 503" in capsys.readouterr().out
    told(one, "web2", "", "")
    assert links(folders) == {"web2"}, "expected the healthy one alone as soon as there is one"


def test_who_was_taken_out_stays_out(balancer, folders):
    (folders[1] / "web1").touch()
    one = balancer()
    assert links(folders) == {"web2"}
    told(one, "web1", "", "", "")
    told(one, "web2", "503", "503", "503")
    assert links(folders) == {"web2"}, "expected nobody to be put in against an operator's will"
    (folders[1] / "web1").unlink()
    one.look()
    assert links(folders) == {"web1"}


def test_a_marker_that_comes_while_a_link_is_made_wins(balancer, folders, monkeypatch):
    one = balancer()
    told(one, "web2", "")
    told(one, "web1", "503", "503", "")
    seen = iter([set(), {"web1"}])
    monkeypatch.setattr(one, "taken_out", lambda: next(seen, {"web1"}))
    told(one, "web1", "")
    assert links(folders) == {"web2"}


def test_started_anew_it_begins_with_what_was(balancer, folders, capsys):
    one = balancer()
    told(one, "web2", "")
    told(one, "web1", "503", "503")
    one.write()
    again = balancer()
    assert links(folders) == {"web2"}
    told(again, "web1", "")
    assert links(folders) == {"web1", "web2"}, "expected the first success to count at once"
    capsys.readouterr()
    balancer()
    assert capsys.readouterr().out == "", "expected a start with nothing new to say nothing"


def test_a_new_host_is_in_when_it_is_healthy(balancer, folders):
    balancer().write()
    one = balancer("web1", "web2", "web3")
    assert links(folders) == {"web1", "web2"}
    told(one, "web3", "")
    assert links(folders) == {"web1", "web2", "web3"}


def test_nothing_is_left_of_hosts_and_sites_that_are_gone(balancer, folders):
    balancer("web1", "web2", sites=(SITE, SITE | {"name": "other"})).write()
    (folders[1] / "web2").touch()
    balancer("web1")
    assert links(folders) == {"web1"}
    assert sorted(path.name for path in folders[0].iterdir()) == ["site", "state.json"]
    assert list(folders[1].iterdir()) == [], "expected the marker to go: the name may come again"


# --- How they are ------------------------------------------------------------------------------


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


def test_it_finds_out_by_itself_and_tells(balancer, folders, tmp_path, capsys):
    """All of it at work: a host falls ill and recovers; state.json says so."""
    ill, well = WebHost(tmp_path), WebHost(tmp_path)

    def state(name: str) -> dict[str, Any]:
        return json.loads((folders[0] / "state.json").read_text())["sites"]["site"][name]

    async def until(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.01)

    async def run() -> None:
        async with ill.listening() as first, well.listening() as second:
            one = balancer()
            for host, port in zip(one.configuration["hosts"], (first, second), strict=True):
                host["port"] = port
            serving = asyncio.create_task(one.serve())
            await until(lambda: (folders[0] / "state.json").exists() and state("web1")["checked"] > 0)
            ill.answer = "503 Service Unavailable"
            await until(lambda: links(folders) == {"web2"} and not state("web1")["in"])
            assert state("web1")["fault"] == "503 Service Unavailable", state("web1")
            assert state("web2") | {"checked": 0} == {"in": True, "healthy": True, "fault": "", "checked": 0}
            ill.answer = "200 OK"
            await until(lambda: links(folders) == {"web1", "web2"} and state("web1")["healthy"])
            serving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await serving

    asyncio.run(run())
    lines = capsys.readouterr().out.splitlines()[-2:]
    assert lines == ["site: web1 is out: 503 Service Unavailable", "site: web1 is in"], lines


def test_it_runs_with_the_oldest_python():
    """Nothing of Python 3.11 or newer: Ubuntu 22.04 has 3.10."""
    compile(SERVICE.read_text(), SERVICE, "exec", dont_inherit=True)
    newer = ("asyncio.timeout", "TaskGroup", "datetime.UTC", "except*", "tomllib")
    found = [name for name in newer if name in SERVICE.read_text()]
    assert not found, f"expected nothing that came after Python 3.10, got {found}"
