"""The workers of a site: gunicorn and its health check."""

from __future__ import annotations

import pytest
from ansible_collections.decanter.stack.plugins.filter import sites_check
from sites_examples import changed, minimal
from sites_tables import accepted, rejected, rows

VALID = [
    ("gunicorn.worker_class", "gevent"),
    ("gunicorn.worker_class", "asgi"),
    ("gunicorn.graceful_timeout", 300),
    ("gunicorn.settings", {}),
    ("health.path", "/"),
]
test_valid_value_is_accepted = accepted(VALID)

HEALTH_PATH = "a path that begins with /, of at most 4000 characters and without spaces"
INVALID = [
    *rows("health.path", HEALTH_PATH, "readyz", "/a b"),
    *rows("health.timeout", "an integer from 1 to 600", 0, 601, 30.0, True, "30"),
    *rows("health.watch", "an integer from 0 to 600", -1, 601, "2"),
    *rows("gunicorn.workers", "an integer from 1 to 64", 65),
    *rows("gunicorn.threads", "an integer from 1 to 1000", 1001),
    *rows("gunicorn.timeout", "an integer from 1 to 3600", 3601),
    *rows("gunicorn.graceful_timeout", "an integer from 1 to 3600", 0, 3601),
    *rows("gunicorn.worker_class", "one of: gthread, sync, gevent, asgi", "tornado"),
]
test_invalid_value_is_rejected = rejected(INVALID)

RESERVED = [
    ("bind", "none, because systemd opens the socket"),
    ("threads", "the key under gunicorn, not under settings"),
    ("user", "none, because the unit sets it"),
    ("raw_env", "env of the site"),
    ("certfile", "none, because nginx terminates TLS"),
    ("accesslog", "none, because nginx writes the access log and the journal has the errors"),
    ("post_worker_init", "none, because a hook is code that belongs in the application"),
    ("graceful_timeout", "the key under gunicorn, not under settings"),
]


@pytest.mark.parametrize(("name", "expected"), RESERVED)
def test_gunicorn_reserved_setting_is_rejected_with_reason(name, expected, root) -> None:
    sites = changed(minimal(), "gunicorn.settings", {name: "x", "max_requests": 1})
    assert sites_check.site_errors(sites, root) == [
        f"sites.harbour.gunicorn.settings.{name}: found a setting that Decanter sets, expected {expected}"
    ]


SETTINGS = [
    ("max_request", 1, "an unknown key", None),
    ("max_requests", "1000", '"1000"', "an integer from 0 to 10000000"),
    ("preload_app", 1, "1", "true or false"),
    ("loglevel", "loud", '"loud"', "one of: debug, info, warning, error, critical"),
    ("proc_name", "a b", '"a b"', "1 to 64 letters, digits, dots, underscores and hyphens"),
]


@pytest.mark.parametrize(("name", "value", "found", "expected"), SETTINGS)
def test_gunicorn_invalid_setting_is_rejected(name, value, found, expected, root) -> None:
    [line] = sites_check.site_errors(changed(minimal(), "gunicorn.settings", {name: value}), root)
    assert line.startswith(f"sites.harbour.gunicorn.settings.{name}: found {found}, expected "), line
    if expected:
        assert line.endswith(f"expected {expected}"), line
    else:
        assert line.endswith("(did you mean max_requests?)"), line
