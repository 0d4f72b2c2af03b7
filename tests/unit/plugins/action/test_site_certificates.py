"""The certificates that a host serves, as `make verify` checks them."""

from __future__ import annotations

import contextlib
import json
import socketserver
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.decanter.stack.plugins.action import site_certificates as plugin
from certificate_pair import DAY, pair


@contextlib.contextmanager
def tls_server(folder: Path) -> Iterator[tuple[str, int]]:
    """Run a TLS server with the certificate of a folder."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "fullchain.pem", folder / "privkey.pem")

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError), context.wrap_socket(self.request, server_side=True) as server:
                server.recv(1)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("given", "trusted", "expected"),
    [
        ({"names": ["a.test"]}, False, ""),
        ({"names": ["*.test"]}, False, ""),
        ({"names": ["a.test"], "by_itself": True}, True, "self-signed certificate"),
        ({"names": ["b.test", "c.test"]}, False, "the certificate is for b.test, c.test"),
        ({"names": ["a.test"], "begins": -9 * DAY, "ends": -DAY}, False, "the certificate is valid from 20"),
        (
            {"names": ["a.test"]},
            True,
            "the controller does not trust the issuer CN=Authority R1 (unable to get",
        ),
    ],
)
def test_invalid_certificate_is_an_error(tmp_path, given, trusted, expected):
    pair(tmp_path, **given)
    with tls_server(tmp_path) as address:
        errors, days, expiring = plugin.check("a.test", address, "", trusted)
    assert len(errors) == bool(expected) and "".join(errors).startswith(expected), errors
    assert not expiring or days < 0, f"expected a longer validity, got {days} days"


def test_expiring_certificate_is_reported(tmp_path):
    pair(tmp_path, ["a.test"], begins=-70 * DAY, ends=20 * DAY)
    with tls_server(tmp_path) as address:
        errors, days, expiring = plugin.check("a.test", address, "", False)
    assert (errors, round(days), expiring) == ([], 20, True)


def test_refused_connection_is_an_error():
    errors, _, _ = plugin.check("a.test", ("127.0.0.1", 1), "", False)
    assert errors == ["the TLS handshake with 127.0.0.1 failed ([Errno 111] Connection refused)"]


@pytest.mark.parametrize(
    ("served", "reason", "warning", "error"),
    [
        (["a.test"], "", "", ""),
        (["b.test"], "", "", "sites.a: a.test: the certificate is for b.test"),
        (
            ["b.test"],
            "a.test does not reach this host",
            "sites.a: a.test: the certificate is for b.test, because a.test does",
            "",
        ),
        (None, "", "sites.a: a.test: self-signed certificate", ""),
        (
            None,
            "DNS has no address",
            "sites.a: a.test: self-signed certificate, because DNS has no add",
            "",
        ),
    ],
)
def test_error_with_a_recorded_reason_is_a_warning(tmp_path, monkeypatch, served, reason, warning, error):
    pair(tmp_path, served or ["a.test"], by_itself=served is None)
    rows = [{"name": "a", "error": reason}]
    with tls_server(tmp_path) as (address, port):
        sites = [{"name": "a", "server_names": ["a.test"]}]
        action: Any = object.__new__(plugin.ActionModule)
        warnings: list[str] = []
        action._display = SimpleNamespace(display=lambda text, **_: warnings.append(text))
        action._task = SimpleNamespace(
            args={"sites": sites, "address": address, "port": port, "trusted": False}
        )
        monkeypatch.setattr(plugin.ActionBase, "run", lambda *_: {})
        action._execute_module = lambda *_, **__: {"rc": 0, "stdout": json.dumps(rows)}
        with pytest.raises(AnsibleActionFail) if error else contextlib.nullcontext() as raised:
            action.run(None, {})
    expected = f"[WARNING]: {warning}" if warning else ""
    assert len(warnings) == bool(warning) and "".join(warnings).startswith(expected), warnings
    assert not error or error in str(raised.value), raised.value
