"""The error log of nginx contains no query strings."""

from __future__ import annotations

import importlib.util

import pytest
from repository import ROOT

SPEC = importlib.util.spec_from_file_location("error_log", ROOT / "roles/nginx/files/error_log.py")
PROGRAM = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(PROGRAM)

START = "2026/11/30 20:00:00 [error] 12#12: *1 upstream timed out (110), client: 203.0.113.1"
HOST = ', host: "a.test"'
REFERRER = ', referrer: "https://a.test/?k=hunter2"'
UPSTREAM = ', upstream: "http://unix:/run/decanter/a/live.sock:/a?key=hunter2"'


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ('server: a.test, request: "GET /a HTTP/1.1"' + HOST, None),
        ('server: a.test, request: "GET /a?key=hunter2 HTTP/1.1"' + HOST, '"GET /a?…"' + HOST),
        (
            'request: "GET /a?key=hunter2 HTTP/1.1"' + UPSTREAM + HOST + REFERRER,
            '"GET /a?…", upstream: "http://unix:/run/decanter/a/live.sock:/a?…"' + HOST,
        ),
        ('request: "GET /a HTTP/1.1"' + HOST + REFERRER, '"GET /a HTTP/1.1"' + HOST),
        # Quotation marks and question marks of the client.
        ('request: "GET /a"?k="hunter2"?hunter2 HTTP/1.1"' + HOST, '"GET /a"?…"' + HOST),
        # nginx truncates long messages.
        ('request: "GET /a?key=hunter2', '"GET /a?…'),
        ('request: "GET /a HTTP/1.1"' + HOST + REFERRER[:20], '"GET /a HTTP/1.1"' + HOST),
    ],
)
def test_query_strings_and_referrers_are_removed(rest, expected):
    got = PROGRAM.without_query(f"<187>Nov 30 20:00:00 nginx: {START}, {rest}")
    assert "hunter2" not in got, got
    before = rest.partition('"')[0]
    assert got == f"{START}, {before}{expected or rest.removeprefix(before)}", got


def test_message_without_request_is_unchanged():
    message = "2026/11/30 20:00:00 [notice] 1#1: signal 1 (SIGHUP) received? reconfiguring"
    got = PROGRAM.without_query(f"<189>Nov 30 20:00:00 nginx: {message}")
    assert got == message, f"expected {message}, got {got}"
