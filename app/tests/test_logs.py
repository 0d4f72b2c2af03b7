"""What the application says of itself."""

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

GIVEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def written() -> Iterator[Callable[[], list[dict[str, str]]]]:
    """Return a function that returns what was written to the journal, each line read."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs._formatter(terminal=False))
    logging.getLogger().addHandler(handler)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logging.getLogger().removeHandler(handler)


def speaking(app: Flask) -> Flask:
    def speak() -> str:
        logs.get("harbour.test").info("spoken", listing=7)
        logging.getLogger("another.library").warning("old %s", "style")
        return "said"

    app.add_url_rule("/speak", "speak", speak)
    app.add_url_rule("/fail", "fail", lambda: 1 / 0)
    return app


def test_every_event_is_a_line_that_names_its_request(fresh_app, written) -> None:
    client = speaking(fresh_app(HARBOUR_PROXIES=1)).test_client()
    client.get("/speak?secret=hunter2", headers={"X-Request-ID": GIVEN})
    ours, theirs = written()
    assert ours.pop("timestamp").endswith("Z")
    assert ours == {
        "event": "spoken",
        "listing": 7,
        "level": "info",
        "logger": "harbour.test",
        "method": "GET",
        "path": "/speak",
        "request_id": GIVEN,
    }
    assert (theirs["event"], theirs["request_id"]) == ("old style", GIVEN)


def test_a_failure_is_one_line_too(fresh_app, written) -> None:
    client = speaking(fresh_app(HARBOUR_PROXIES=1)).test_client()
    answer = client.get("/fail", headers={"X-Request-ID": GIVEN})
    assert answer.headers["X-Request-ID"] == GIVEN
    assert f"please quote <code>{GIVEN}</code>" in answer.text
    [line] = written()
    assert line["level"] == "error"
    assert line["request_id"] == GIVEN
    assert "ZeroDivisionError" in line["exception"]


@pytest.mark.parametrize(
    ("proxies", "given"), [(0, GIVEN), (1, ""), (1, "x" * 32), (1, GIVEN * 3), (1, "ab\\u00e9")]
)
def test_an_id_that_is_not_the_proxys_is_made_anew(fresh_app, written, proxies, given) -> None:
    client = speaking(fresh_app(HARBOUR_PROXIES=proxies)).test_client()
    client.get("/speak", headers={"X-Request-ID": given})
    client.get("/speak", headers={"X-Request-ID": given})
    ids = {line["request_id"] for line in written()}
    assert len(ids) == 2  # one for each request
    assert given not in ids
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in ids)


def test_an_answer_that_a_cache_shares_names_no_request(fresh_app) -> None:
    client = speaking(fresh_app(HARBOUR_PROXIES=1)).test_client()
    answer = client.get("/speak", headers={"X-Request-ID": GIVEN})
    assert GIVEN not in answer.text + str(answer.headers)


def test_a_terminal_gets_lines_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    record = logging.LogRecord("x", logging.INFO, "x.py", 1, "Hello", None, None)
    assert json.loads(logs._formatter(terminal=False).format(record))["event"] == "Hello"
    assert "{" not in logs._formatter(terminal=True).format(record)
    assert sys.stderr is not None
    assert monkeypatch
