"""Names are probed before an order: an HTTP-01 request must reach this host."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from certificate_pair import DAY, lineage
from certificates_host import MODULES, Host, new_host

probe, CertificateError = MODULES["probe"], MODULES["failures"].CertificateError


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return new_host(tmp_path, monkeypatch)


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.server.hosts.append(self.headers["Host"])
        match self.headers["Host"].split(".")[0]:
            case "gone":
                self.send_error(404)
            case "other":
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"<html>parked</html>")
            case "moved":
                self.send_response(301)
                self.send_header("Location", f"http://127.0.0.1:{probe.PORT}{self.path}")
                self.end_headers()
            case _:
                super().do_GET()


@contextlib.contextmanager
def challenge_server(folder: Path) -> Iterator[http.server.HTTPServer]:
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *arguments: Handler(*arguments, directory=str(folder))
    )
    server.hosts = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def probing_host(host, monkeypatch) -> Iterator[Host]:
    """Return a host that probes names at a port of this machine. `host.dns` has their addresses."""
    host.dns, host.settings = {}, {"probe": True}

    def addresses(name: str) -> list[str]:
        if "unknown" in name:
            raise CertificateError(f"DNS has no address for {name} (Name or service not known)")
        return host.dns.get(name, ["127.0.0.1"])

    monkeypatch.setattr(probe, "addresses", addresses)
    with challenge_server(host.root / "challenges") as server:
        monkeypatch.setattr(probe, "PORT", server.server_address[1])
        host.server = server
        yield host


def test_names_of_this_host_are_ordered(probing_host):
    run = probing_host.run(a={"server_names": ["a.test", "moved.test"]})
    assert run.well and probing_host.ordered() == ["a.test moved.test"], run.results
    assert "a.test" in {name.split(":")[0] for name in probing_host.server.hosts}, probing_host.server.hosts
    left = [path for path in (probing_host.root / "challenges").rglob("*") if path.is_file()]
    assert left == [], f"expected no token to stay, got {left}"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "gone.test",
            "gone.test does not reach this host: 127.0.0.1 responds with 404 (DNS: 127.0.0.1; this host: ",
        ),
        (
            "other.test",
            "other.test does not reach this host: 127.0.0.1 responds with other content (DNS: 127.0.0.1",
        ),
        (
            "refused.test",
            "refused.test does not reach this host: 127.0.0.2 does not respond (Connection refused) (DNS",
        ),
        (
            "half.test",
            "half.test does not reach this host: 127.0.0.2 does not respond (Connection refused) (DNS: ",
        ),
        ("unknown.test", "DNS has no address for unknown.test (Name or service not known)"),
    ],
)
def test_name_of_another_host_is_left_out_and_reported(probing_host, name, expected):
    probing_host.dns |= {"refused.test": ["127.0.0.2"], "half.test": ["127.0.0.1", "127.0.0.2"]}
    run = probing_host.run(a={"server_names": ["a.test", name]}, b={"server_names": [name]})
    assert probing_host.ordered() == ["a.test"], "expected an order for the reachable name only"
    assert not run.well and run.results["a"]["installed"], run.results
    for site in "ab":
        assert run.results[site]["error"].startswith(expected), run.results
    probing_host.run(a={"server_names": ["a.test", name]})
    assert probing_host.orders() == [], "expected no second order for the same names"


def test_unreachable_other_host_does_not_stop_an_order(probing_host, capsys):
    probing_host.settings |= {"shared": True}
    probing_host.dns |= {"a.test": ["127.0.0.2", "127.0.0.1"], "dead.test": ["127.0.0.2"]}
    probing_host.dns["gone.test"] = ["127.0.0.1", "127.0.0.2"]
    run = probing_host.run(a={"server_names": ["a.test", "dead.test", "gone.test"]})
    assert probing_host.ordered() == ["a.test"], "expected an order for the reachable name only"
    assert (
        "a.test reaches this host, but not at each of its addresses: 127.0.0.2 does not respond"
        in capsys.readouterr().out
    )
    for name in ("dead.test", "gone.test"):
        assert f"{name} does not reach this host" in run.results["a"]["error"], run.results


def test_name_that_fails_once_stays_in_the_certificate(probing_host):
    both = {"server_names": ["a.test", "gone.test"]}
    for left, expected in ((20 * DAY, []), (10 * DAY, ["a.test"])):
        lineage(probing_host.folder / "certbot", "a", both["server_names"], begins=left - 90 * DAY, ends=left)
        (probing_host.folder / "sites").mkdir(exist_ok=True)
        got = {"server": "https://ca.test/dir", "profile": "", "key_type": "ecdsa"}
        (probing_host.folder / "sites/a.json").write_text(json.dumps({"got": got}))
        run = probing_host.run(a=both)
        assert "gone.test does not reach this host" in run.results["a"]["error"], run.results
        assert probing_host.ordered() == expected, f"{left / DAY:.0f} of 90 days left"


@pytest.mark.parametrize("left", [25, 10, -1])
def test_unreachable_name_does_not_stop_a_renewal(probing_host, left):
    both = {"server_names": ["a.test", "gone.test"]}
    probing_host.run(a=both)
    probing_host.orders()
    lineage(probing_host.folder / "certbot", "a", ["a.test"], begins=(left - 90) * DAY, ends=left * DAY)
    probing_host.run(a=both)
    assert probing_host.ordered() == ["a.test"], f"{left} of 90 days left"


def test_address_without_a_route_is_skipped(probing_host, monkeypatch):
    monkeypatch.setattr(probe, "UNROUTABLE", {111})  # ECONNREFUSED, the error of 127.0.0.2
    probing_host.dns["a.test"] = ["127.0.0.2", "127.0.0.1"]
    assert probing_host.run(a={}).well
    probing_host.dns["b.test"] = ["127.0.0.2"]
    error = probing_host.run(a={}, b={}).results["b"]["error"]
    assert error.startswith("b.test does not reach this host: no route to its addresses (DNS: 127.0.0.2"), (
        error
    )


def test_addresses_are_resolved():
    assert probe.addresses("fd00::1") == ["fd00::1"]
    assert "127.0.0.1" in probe.addresses("localhost")
    with pytest.raises(CertificateError, match=r"DNS has no address for missing\.invalid"):
        probe.addresses("missing.invalid")


def test_own_addresses_are_ip_addresses():
    for address in probe.own_addresses():
        socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
