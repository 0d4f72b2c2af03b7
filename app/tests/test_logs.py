"""Structured logs."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
from collections.abc import Callable, Iterator

import pytest
from flask import Flask

from harbour import logs

REQUEST_ID = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def read_log() -> Iterator[Callable[[], list[dict[str, str]]]]:
    """Yield a function that returns the events logged so far."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs._formatter(terminal=False))
    logging.getLogger().addHandler(handler)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logging.getLogger().removeHandler(handler)


def add_logging_routes(app: Flask) -> Flask:
    def write_log() -> str:
        logs.get("harbour.test").info("written", listing=7)
        logging.getLogger("another.library").warning("old %s", "style")
        return "done"

    app.add_url_rule("/log", "log", write_log)
    app.add_url_rule("/fail", "fail", lambda: 1 / 0)
    return app


def test_event_is_json_line_with_request_id(fresh_app, read_log) -> None:
    client = add_logging_routes(fresh_app(HARBOUR_PROXIES=1)).test_client()
    client.get("/log?secret=hunter2", headers={"X-Request-ID": REQUEST_ID})
    own, library = read_log()
    assert own.pop("timestamp").endswith("Z")
    assert own == {
        "event": "written",
        "listing": 7,
        "level": "info",
        "logger": "harbour.test",
        "method": "GET",
        "path": "/log",
        "request_id": REQUEST_ID,
    }
    assert (library["event"], library["request_id"]) == ("old style", REQUEST_ID)


def test_exception_is_one_json_line(fresh_app, read_log) -> None:
    client = add_logging_routes(fresh_app(HARBOUR_PROXIES=1)).test_client()
    response = client.get("/fail", headers={"X-Request-ID": REQUEST_ID})
    assert response.headers["X-Request-ID"] == REQUEST_ID
    assert f"please quote <code>{REQUEST_ID}</code>" in response.text
    [line] = read_log()
    assert line["level"] == "error"
    assert line["request_id"] == REQUEST_ID
    assert "ZeroDivisionError" in line["exception"]


@pytest.mark.parametrize(
    ("proxies", "request_id"),
    [(0, REQUEST_ID), (1, ""), (1, "x" * 32), (1, REQUEST_ID * 3), (1, "ab\\u00e9")],
)
def test_untrusted_or_invalid_request_id_is_replaced(fresh_app, read_log, proxies, request_id) -> None:
    client = add_logging_routes(fresh_app(HARBOUR_PROXIES=proxies)).test_client()
    client.get("/log", headers={"X-Request-ID": request_id})
    client.get("/log", headers={"X-Request-ID": request_id})
    ids = {line["request_id"] for line in read_log()}
    assert len(ids) == 2  # one per request
    assert request_id not in ids
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in ids)


def test_cacheable_response_has_no_request_id(fresh_app) -> None:
    client = add_logging_routes(fresh_app(HARBOUR_PROXIES=1)).test_client()
    response = client.get("/log", headers={"X-Request-ID": REQUEST_ID})
    assert REQUEST_ID not in response.text + str(response.headers)


def test_terminal_formatter_writes_no_json(monkeypatch: pytest.MonkeyPatch) -> None:
    record = logging.LogRecord("x", logging.INFO, "x.py", 1, "Hello", None, None)
    assert json.loads(logs._formatter(terminal=False).format(record))["event"] == "Hello"
    assert "{" not in logs._formatter(terminal=True).format(record)
    assert sys.stderr is not None
    assert monkeypatch
