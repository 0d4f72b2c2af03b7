"""The settings of nginx for a site."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.decanter.stack.plugins.filter import sites_check
from sites_examples import SECRET, changed, minimal
from sites_tables import accepted, rejected, rows

VALID = [
    ("nginx.client_max_body_size", "1g"),
    ("nginx.cache.except", [f"/{'a' * 3999}"]),
    (
        "nginx.headers",
        {"Report-To": '{"group": "a", "max_age": 1}', "x-own": "a\\b", "X-Frame-Options": False},
    ),
    ("nginx.hsts", {"seconds": 0}),
    ("nginx.limits", False),
    ("nginx.cache", True),
    ("nginx.cache", {}),
    ("nginx.websockets", True),
    ("nginx.websockets", ["/socket.io/", "/ws"]),
    ("nginx.streams", ["/events"]),
    ("nginx.idle_timeout", 86400),
]
test_valid_value_is_accepted = accepted(VALID)

INVALID = [
    *rows(
        "nginx.client_max_body_size",
        "a number of at most 9 digits followed by k, m or g, such as 10m",
        *("10 MB", "\u0661m", "99999999999g"),
    ),
    *rows(
        "nginx.headers.A",
        "false, or a value of 1 to 3000 printable ASCII characters without $",
        {"A": True},
        {"A": "$host"},
        {"A": "a\nb"},
        ({"A": ""}, "an empty string"),
        {"A": 5},
        at="nginx.headers",
    ),
    *(
        row
        for name in (
            "Set-Cookie",
            "strict-transport-security",
            "X_A",
            "Cache-Control",
            "A:",
            "Content-Length",
        )
        for row in rows(
            f"nginx.headers.{name}" if ":" not in name else f'nginx.headers["{name}"]',
            "the name of a header that neither nginx nor the application sets, such as Referrer-Policy",
            ({name: "a"}, f'the name "{name}"'),
            at="nginx.headers",
        )
    ),
    *rows(
        "nginx.headers.x-a", "one of the two", ({"X-A": "a", "x-a": "b"}, "X-A as well"), at="nginx.headers"
    ),
    *rows("nginx.hsts.seconds", "an integer from 0 to 126144000", -1, True),
    *rows(
        "nginx.hsts.preload",
        "subdomains: true and seconds: 63072000 or more",
        {"preload": True},
        {"preload": True, "subdomains": True},
        {"preload": True, "subdomains": True, "seconds": 31536000},
        {"preload": True, "seconds": 63072000},
        at="nginx.hsts",
    ),
    *rows("nginx.limits", "false or a dictionary such as {rate: 100}", True, 5),
    *rows("nginx.limits.rate", "an integer from 1 to 10000", 0, "5r/s"),
    *rows(
        "nginx.cache.except[0]",
        "a path that begins with /, of at most 4000 letters, digits and . _ ~ - /",
        ["log-in"],
        ["/a b"],
        ['/a"'],
        ([f"/{'a' * 4000}"], f'"/{"a" * 58}…"'),
        at="nginx.cache.except",
    ),
    *rows("nginx.websockets", "true, false or a list such as [/ws]", "/ws", 1),
    *rows(
        "nginx.websockets[0]",
        "a path that begins with /, of at most 1000 letters, digits and . _ ~ - /",
        ["ws"],
        ["/ws?a"],
        at="nginx.websockets",
    ),
    *rows("nginx.streams", "a list such as [/events]", True, "/events"),
    *rows(
        "nginx.streams[0]",
        "a path that begins with /, of at most 1000 letters, digits and . _ ~ - /",
        ["/a b"],
        at="nginx.streams",
    ),
    *rows("nginx.idle_timeout", "an integer from 10 to 86400", 9, 86401, "10m"),
    *rows(
        "nginx.cache.harmless_cookies[0]",
        "1 to 64 letters, digits, dots, underscores and hyphens, optionally with * at the end",
        ["*"],
        ["a*b"],
        ["a=b"],
        at="nginx.cache.harmless_cookies",
    ),
]
test_invalid_value_is_rejected = rejected(INVALID)


@pytest.mark.parametrize(
    ("key", "value"), [("websockets", True), ("websockets", ["/ws"]), ("streams", ["/events"])]
)
def test_long_lived_connection_of_sync_worker_is_rejected(key: str, value: Any, root: str) -> None:
    sites = changed(changed(minimal(), f"nginx.{key}", value), "gunicorn.worker_class", "sync")
    assert sites_check.site_errors(sites, root) == [
        f'sites.harbour.gunicorn.worker_class: found "sync" and nginx.{key}, expected gthread, gevent or '
        "asgi, because an open connection would occupy a worker"
    ]


def with_users(users: Any, path: str = "/healthz") -> dict[str, Any]:
    return changed(changed(minimal(), "nginx.basic_auth", users), "health.path", path)


def test_basic_auth_with_shared_health_path_is_rejected(root: str) -> None:
    assert sites_check.site_errors(with_users({"ada": SECRET, "b@c.test": "$2b$12$" + "x" * 53}), root) == []
    for path in ("/", "/?a=b", "/a;b", "/$a"):
        [line] = sites_check.site_errors(with_users({"ada": SECRET}, path), root)
        assert line == (
            f'sites.harbour.nginx.basic_auth: found "{path}", expected health.path to be a separate path '
            "such as /healthz, because health checks send no password"
        )


@pytest.mark.parametrize("password", [SECRET[:7], f"{SECRET}\n{SECRET}", "ü" * 8, 12345678])
def test_basic_auth_error_contains_no_password(password: Any, root: str) -> None:
    [line] = sites_check.site_errors(with_users({"ada": password}), root)
    found = "a number" if isinstance(password, int) else "a string"
    expected = "a password of 8 to 128 printable ASCII characters, or its hash"
    assert line == f"sites.harbour.nginx.basic_auth.ada: found {found}, expected {expected}"


APR1 = "$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/"
KINDS = "$1$, $apr1$, $2a$, $2b$, $2y$, $5$, $6$, $7$, $y$, {SHA}, {SSHA}"


@pytest.mark.parametrize(
    ("password", "found"),
    [
        (APR1, ""),
        ("$y$j9T$QFd4fVrcGLTV0nw76EZ/L.$Q40DXosJnqJMlx96NPMD7YNKOe5X3tvL1b7q41UPu/6", ""),
        ("{SHA}2jmj7l5rSw0yVb/vlWAYkK/YBwk=", ""),
        ("{SSHA}VBPuJHI7uixaa6LQGWx4s+5GKNgxMjM0", ""),
        ("$correct horse", ""),
        ("{correct} horse", ""),
        ("correct$horse$battery", ""),
        (APR1[:-2], "an invalid hash of the kind $apr1$"),
        ("$6$rounds=999$salt$" + "a" * 86, "an invalid hash of the kind $6$"),
        ("{SHA}2jmj7l5rSw0yVb/vlWAYkK/YBw==", "an invalid hash of the kind {SHA}"),
        ("{SSHA}2jmj7l5rSw0yVb/vlWAYkK/YBwk=", "an invalid hash of the kind {SSHA}"),
        ("{PLAIN}correct-horse", "a hash of the kind {PLAIN}"),
        ("$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA", "a hash of the kind $argon2id$"),
        ("$P$984478476IagS59wHZvyQMArzfx58u.", "a hash of the kind $P$"),
        ("scrypt:32768:8:1$c2FsdA$0badc0de", "a hash of the kind scrypt"),
        ("pbkdf2:sha256:600000$c2FsdA$0badc0de", "a hash of the kind pbkdf2:sha256"),
        ("$horse$battery", "a hash of an unknown kind"),
    ],
)
def test_basic_auth_hash_is_one_that_nginx_verifies(password: str, found: str, root: str) -> None:
    expected = f"a password, or a hash that nginx verifies: {KINDS}"
    line = f"sites.harbour.nginx.basic_auth.ada: found {found}, expected {expected}"
    assert sites_check.site_errors(with_users({"ada": password}), root) == ([line] if found else [])
