"""The service that checks the health of web hosts, against servers on loopback."""

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
sys.modules[spec.name] = service  # required by dataclasses
spec.loader.exec_module(service)


class WebHost:
    """A stub web host on loopback with a configurable response."""

    def __init__(self, folder: Path, name: str = "site.test") -> None:
        self.status, self.requests, self.delay = "200 OK", [], 0.0
        self.certificate = folder / f"{name}.pem"
        self.certificate.write_bytes(self_signed(name))
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.certificate)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.requests.append(request)
        await asyncio.sleep(self.delay)
        if self.status:
            version = "" if "/" in self.status else "HTTP/1.1 "
            writer.write(f"{version}{self.status}\r\nContent-Length: 0\r\n\r\n".encode())
        writer.close()

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=self.context)
        async with server:
            yield server.sockets[0].getsockname()[1]


def self_signed(name: str) -> bytes:
    """Return the PEM of a key and its self-signed certificate."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.timezone.utc)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    certificate = (
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
    return private + certificate.public_bytes(serialization.Encoding.PEM)


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
        members = [{"name": name, "address": "127.0.0.1", "port": 1} for name in hosts or ("web1", "web2")]
        one = service.Balancer(SETTINGS | {"hosts": members, "sites": list(sites)} | settings, *folders)
        one.prepare()
        return one

    return make


def links(folders: tuple[Path, Path], site: str = "site") -> set[str]:
    return {path.stem for path in (folders[0] / site).iterdir() if path.is_symlink()}


def record(one: Any, host: str, *faults: str) -> None:
    """Record several results of health checks of a host."""
    for fault in faults:
        [member] = [member for member in one.sites["site"] if member.name == host]
        member.record(fault, 2, 2)
        one.update_links("site")


# --- Symlinks ----------------------------------------------------------------------------------


def test_all_hosts_are_in_after_a_boot(balancer, folders):
    one = balancer()
    assert links(folders) == {"web1", "web2"}
    assert (folders[0] / "site/web1.sock").readlink() == Path("../web1.sock")
    record(one, "web1", "502")
    assert links(folders) == {"web1", "web2"}, "expected no effect of one failure"


def test_two_failures_and_two_successes_change_the_state(balancer, folders, capsys):
    one = balancer()
    record(one, "web2", "")
    record(one, "web1", "", "502 Bad Gateway", "", "502 Bad Gateway")
    assert links(folders) == {"web1", "web2"}
    record(one, "web1", "503 no")
    assert links(folders) == {"web2"}
    record(one, "web1", "", "503 no", "")
    assert links(folders) == {"web2"}
    record(one, "web1", "")
    assert links(folders) == {"web1", "web2"}
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == ["site: web1 is out: 503 no", "site: web1 is in"], lines


def test_all_hosts_stay_in_if_no_host_is_healthy(balancer, folders, capsys):
    one = balancer()
    record(one, "web1", "503", "503")
    record(one, "web2", "503", "503")
    assert links(folders) == {"web1", "web2"}
    assert "site: web1 is in, because no host is healthy: 503" in capsys.readouterr().out
    record(one, "web2", "", "")
    assert links(folders) == {"web2"}, "expected only the healthy host"


def test_host_taken_out_by_an_operator_stays_out(balancer, folders):
    (folders[1] / "web1").touch()
    one = balancer()
    assert links(folders) == {"web2"}
    record(one, "web1", "", "", "")
    record(one, "web2", "503", "503", "503")
    assert links(folders) == {"web2"}, "expected web1 to stay out while its marker exists"
    (folders[1] / "web1").unlink()
    one.reload()
    assert links(folders) == {"web1"}


def test_marker_during_creation_of_a_link_removes_the_link(balancer, folders, monkeypatch):
    one = balancer()
    record(one, "web2", "")
    record(one, "web1", "503", "503", "")
    markers = iter([set(), {"web1"}])
    monkeypatch.setattr(one, "taken_out", lambda: next(markers, {"web1"}))
    record(one, "web1", "")
    assert links(folders) == {"web2"}


def test_restart_keeps_the_previous_state(balancer, folders, capsys):
    one = balancer()
    record(one, "web2", "")
    record(one, "web1", "503", "503")
    one.write_state()
    again = balancer()
    assert links(folders) == {"web2"}
    record(again, "web1", "")
    assert links(folders) == {"web1", "web2"}, "expected the first success to count at once"
    capsys.readouterr()
    balancer()
    assert capsys.readouterr().out == "", "expected no log line without a change"


def test_new_host_is_in_when_it_is_healthy(balancer, folders):
    balancer().write_state()
    one = balancer("web1", "web2", "web3")
    assert links(folders) == {"web1", "web2"}
    record(one, "web3", "")
    assert links(folders) == {"web1", "web2", "web3"}


def test_files_of_removed_hosts_and_sites_are_removed(balancer, folders):
    balancer("web1", "web2", sites=(SITE, SITE | {"name": "other"})).write_state()
    (folders[1] / "web2").touch()
    balancer("web1")
    assert links(folders) == {"web1"}
    assert sorted(path.name for path in folders[0].iterdir()) == ["site", "state.json"]
    assert list(folders[1].iterdir()) == [], "expected no marker: a new host may have the same name"


# --- Health checks -----------------------------------------------------------------------------


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


def test_service_records_failure_and_recovery(balancer, folders, tmp_path, capsys):
    """The complete service: a host fails and recovers, and state.json contains it."""
    failing, healthy = WebHost(tmp_path), WebHost(tmp_path)

    def state(name: str) -> dict[str, Any]:
        return json.loads((folders[0] / "state.json").read_text())["sites"]["site"][name]

    async def until(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.01)

    async def run() -> None:
        async with failing.listening() as first, healthy.listening() as second:
            one = balancer()
            for host, port in zip(one.configuration["hosts"], (first, second), strict=True):
                host["port"] = port
            serving = asyncio.create_task(one.serve())
            await until(lambda: (folders[0] / "state.json").exists() and state("web1")["checked"] > 0)
            failing.status = "503 Service Unavailable"
            await until(lambda: links(folders) == {"web2"} and not state("web1")["in"])
            assert state("web1")["fault"] == "503 Service Unavailable", state("web1")
            assert state("web2") | {"checked": 0} == {"in": True, "healthy": True, "fault": "", "checked": 0}
            failing.status = "200 OK"
            await until(lambda: links(folders) == {"web1", "web2"} and state("web1")["healthy"])
            serving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await serving

    asyncio.run(run())
    lines = capsys.readouterr().out.splitlines()[-2:]
    assert lines == ["site: web1 is out: 503 Service Unavailable", "site: web1 is in"], lines


def test_service_uses_nothing_newer_than_python_3_10():
    """Ubuntu 22.04 has Python 3.10."""
    compile(SERVICE.read_text(), SERVICE, "exec", dont_inherit=True)
    newer = ("asyncio.timeout", "TaskGroup", "datetime.UTC", "except*", "tomllib")
    found = [name for name in newer if name in SERVICE.read_text()]
    assert not found, f"expected nothing newer than Python 3.10, got {found}"
