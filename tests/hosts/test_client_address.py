"""Headers and the WSGI environment of forwarded requests, and headers that the client forges."""

from __future__ import annotations

import json
import re

import pytest

MIRROR = "https://mirror.test"
FORGED = {
    "X-Forwarded-For": "203.0.113.7",
    "X-Forwarded-Proto": "http",
    "X-Forwarded-Host": "evil.test",
    "X-Forwarded-Port": "1",
    "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-Server": "evil.test",
    "X-Forwarded-Scheme": "http",
    "X-Forwarded-Ssl": "off",
    "X-Real-IP": "203.0.113.7",
    "X-Original-URL": "/evil",
    "X-Rewrite-URL": "/evil",
    "X-Request-ID": "evil",
    "Forwarded": "for=203.0.113.7;host=evil.test",
    "Proxy": "http://evil.test/",
    "X-Decanter-Edge": "evil",
    "X_Forwarded_For": "203.0.113.7",
}


def forwarded_headers(visitor, headers: dict[str, str]) -> dict[str, list[str]]:
    """Return the headers that the application receives, by lower-case names."""
    got: dict[str, list[str]] = {}
    response = visitor.get(f"{MIRROR}/seen", headers=headers)
    for name, value in json.loads(response.text):
        got.setdefault(name.lower(), []).append(value)
    return got


def test_proxy_headers_forged_by_client_are_replaced(visitor, variables):
    port = "" if variables["lab_https_port"] == 443 else f":{variables['lab_https_port']}"
    got = forwarded_headers(visitor, FORGED)
    assert not [
        value for values in got.values() for value in values if "evil" in value or "203.0" in value
    ], f"expected no forged value, got {got}"
    own = visitor.own_address()
    assert got["x-forwarded-for"] == [own], f"expected {own}, got {got['x-forwarded-for']}"
    assert (got["x-forwarded-proto"], got["x-forwarded-host"]) == (["https"], [f"mirror.test{port}"]), got
    assert re.fullmatch("[0-9a-f]{32}", got["x-request-id"][0]), got["x-request-id"]


@pytest.mark.parametrize("proxy_fix", ["", "?with=ProxyFix"])
def test_wsgi_environment_has_the_client_and_its_scheme(visitor, variables, proxy_fix):
    """The headers that the client forges change nothing, with and without ProxyFix in the application."""
    forged = FORGED | {"Script-Name": "/evil", "Remote-Addr": "203.0.113.7", "X-Client-Port": "1"}
    got = visitor.get(f"{MIRROR}/environ{proxy_fix}", headers=forged).json()
    port = variables["lab_https_port"]
    expected = {
        "REMOTE_ADDR": visitor.own_address(),
        "wsgi.url_scheme": "https",
        "SERVER_NAME": "mirror.test",
        "SERVER_PORT": str(port),
        "HTTP_HOST": "mirror.test" if port == 443 else f"mirror.test:{port}",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/environ",
    }
    shown = {key: got.get(key) for key in expected}
    assert shown == expected, f"expected {expected}, got {shown}"
    assert 1 < int(got["REMOTE_PORT"]) < 65536, f"expected the client's port, got {got['REMOTE_PORT']}"
    assert "HTTP_X_CLIENT_PORT" not in got and "HTTP_X_DECANTER_EDGE" not in got, got
