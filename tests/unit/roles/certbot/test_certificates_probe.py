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
def answering(folder: Path) -> Iterator[http.server.HTTPServer]:
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *given: Handler(*given, directory=str(folder))
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
def probed(host, monkeypatch) -> Iterator[Host]:
    """Names are probed, at a port of this machine; DNS says what `host.dns` says."""
    host.dns, host.settings = {}, {"probe": True}

    def addresses(name: str) -> list[str]:
        if "unknown" in name:
            raise CertificateError(f"DNS has no address for {name} (Name or service not known)")
        return host.dns.get(name, ["127.0.0.1"])

    monkeypatch.setattr(probe, "addresses", addresses)
    with answering(host.root / "challenges") as server:
        monkeypatch.setattr(probe, "PORT", server.server_address[1])
        host.server = server
        yield host


def test_names_of_this_host_are_ordered(probed):
    run = probed.run(a={"server_names": ["a.test", "moved.test"]})
    assert run.well and probed.ordered() == ["a.test moved.test"], run.results
    assert "a.test" in {asked.split(":")[0] for asked in probed.server.hosts}, probed.server.hosts
    left = [path for path in (probed.root / "challenges").rglob("*") if path.is_file()]
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
def test_name_of_another_host_is_left_out_and_reported(probed, name, expected):
    probed.dns |= {"refused.test": ["127.0.0.2"], "half.test": ["127.0.0.1", "127.0.0.2"]}
    run = probed.run(a={"server_names": ["a.test", name]}, b={"server_names": [name]})
    assert probed.ordered() == ["a.test"], "expected an order for what arrives, and none for what does not"
    assert not run.well and run.results["a"]["installed"], run.results
    for site in "ab":
        assert run.results[site]["error"].startswith(expected), run.results
    probed.run(a={"server_names": ["a.test", name]})
    assert probed.orders() == [], "expected no second order for the same"


def test_unreachable_other_host_does_not_stop_an_order(probed, capsys):
    probed.settings |= {"shared": True}
    probed.dns |= {"a.test": ["127.0.0.2", "127.0.0.1"], "dead.test": ["127.0.0.2"]}
    probed.dns["gone.test"] = ["127.0.0.1", "127.0.0.2"]
    run = probed.run(a={"server_names": ["a.test", "dead.test", "gone.test"]})
    assert probed.ordered() == ["a.test"], "expected the living to be asked"
    assert (
        "a.test reaches this host, but not at each of its addresses: 127.0.0.2 does not respond"
        in capsys.readouterr().out
    )
    for name in ("dead.test", "gone.test"):
        assert f"{name} does not reach this host" in run.results["a"]["error"], run.results


def test_name_that_fails_once_stays_in_the_certificate(probed):
    both = {"server_names": ["a.test", "gone.test"]}
    for left, expected in ((20 * DAY, []), (10 * DAY, ["a.test"])):
        lineage(probed.folder / "certbot", "a", both["server_names"], begins=left - 90 * DAY, ends=left)
        (probed.folder / "sites").mkdir(exist_ok=True)
        got = {"server": "https://ca.test/dir", "profile": "", "key_type": "ecdsa"}
        (probed.folder / "sites/a.json").write_text(json.dumps({"got": got}))
        run = probed.run(a=both)
        assert "gone.test does not reach this host" in run.results["a"]["error"], run.results
        assert probed.ordered() == expected, f"{left / DAY:.0f} of 90 days left"


@pytest.mark.parametrize("left", [25, 10, -1])
def test_unreachable_name_does_not_stop_a_renewal(probed, left):
    both = {"server_names": ["a.test", "gone.test"]}
    probed.run(a=both)
    probed.orders()
    lineage(probed.folder / "certbot", "a", ["a.test"], begins=(left - 90) * DAY, ends=left * DAY)
    probed.run(a=both)
    assert probed.ordered() == ["a.test"], f"{left} of 90 days left"


def test_address_without_a_route_is_skipped(probed, monkeypatch):
    monkeypatch.setattr(probe, "UNROUTABLE", {111})  # that is what 127.0.0.2 answers
    probed.dns["a.test"] = ["127.0.0.2", "127.0.0.1"]
    assert probed.run(a={}).well
    probed.dns["b.test"] = ["127.0.0.2"]
    error = probed.run(a={}, b={}).results["b"]["error"]
    assert error.startswith("b.test does not reach this host: no route to its addresses (DNS: 127.0.0.2"), (
        error
    )


def test_addresses_are_resolved():
    assert probe.addresses("fd00::1") == ["fd00::1"]
    assert "127.0.0.1" in probe.addresses("localhost")
    with pytest.raises(CertificateError, match=r"DNS has no address for nobody\.invalid"):
        probe.addresses("nobody.invalid")


def test_own_addresses_are_ip_addresses():
    for address in probe.own_addresses():
        socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
