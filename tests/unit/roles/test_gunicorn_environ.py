"""The WSGI environment that an application behind gunicorn's Unix socket receives."""

from __future__ import annotations

import gc
from typing import Any

import pytest
from templates_rendering import matching
from werkzeug.middleware.proxy_fix import ProxyFix

KEYS = ("REMOTE_ADDR", "REMOTE_PORT", "wsgi.url_scheme", "SERVER_NAME", "SERVER_PORT", "HTTP_HOST")


@pytest.fixture
def gunicorn(monkeypatch, tmp_path):
    """Return the settings of a rendered gunicorn.conf.py."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    settings: dict[str, Any] = {}
    exec(matching("debian13", "full", r"/gunicorn\.conf\.py$")[0].text, settings)
    yield settings
    gc.unfreeze()


def received(gunicorn: dict[str, Any], environ: dict[str, str], proxy_fix: bool) -> dict[str, str]:
    """Return the environment of an application, with or without its own ProxyFix."""
    got: dict[str, str] = {}

    class Worker:
        def wsgi(self, environ, start_response):
            got.update(environ)
            return []

    worker: Any = Worker()
    if proxy_fix:
        worker.wsgi = ProxyFix(worker.wsgi, x_for=1, x_proto=1, x_host=1, x_port=1, x_prefix=1)
    gunicorn["post_worker_init"](worker)
    worker.wsgi(environ, lambda *_: None)
    return got


@pytest.mark.parametrize("proxy_fix", [False, True])
@pytest.mark.parametrize(
    ("host", "address", "port", "name", "server_port"),
    [
        ("harbour.test", "203.0.113.7", "4711", "harbour.test", "443"),
        ("harbour.test:8443", "203.0.113.7", "", "harbour.test", "8443"),
        ("[fd00::1]", "2001:db8::7", "4711", "[fd00::1]", "443"),
        ("[fd00::1]:8443", "2001:db8::7", "", "[fd00::1]", "8443"),
    ],
)
def test_environ_has_client_and_server_of_request(
    gunicorn, proxy_fix, host, address, port, name, server_port
):
    environ = {
        # As gunicorn sets them (gunicorn.http.wsgi.create).
        "REMOTE_ADDR": "",
        "SERVER_NAME": host.split(":")[0],
        "SERVER_PORT": [*host.split(":"), "443"][1],
        "wsgi.url_scheme": "https",
        "HTTP_HOST": host,
        "HTTP_X_FORWARDED_FOR": address,
        "HTTP_X_FORWARDED_PROTO": "https",
        "HTTP_X_FORWARDED_HOST": host,
    } | ({"HTTP_X_CLIENT_PORT": port} if port else {})
    got = received(gunicorn, environ, proxy_fix)
    expected = dict(zip(KEYS, (address, port, "https", name, server_port, host), strict=True))
    shown = {key: got.get(key, "") for key in KEYS}
    assert shown == expected, f"expected {expected}, got {shown}"
    assert "HTTP_X_CLIENT_PORT" not in got, got
