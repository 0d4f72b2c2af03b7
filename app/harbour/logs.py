"""What the application says of itself: a line of JSON for each event, which the journal keeps.

On a terminal the same events are written for people. Each event of a request carries the request's
id, the one that nginx has in its access log.
"""

from __future__ import annotations

import logging
import re
import sys
import uuid
from typing import Any

import structlog
from flask import Flask, Response, g, request

# What nginx makes ($request_id), and UUIDs. Anything else does not get into a log.
REQUEST_ID = re.compile(r"[0-9a-f][0-9a-f-]{15,63}")

_COMMON: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def get(name: str) -> Any:  # noqa: ANN401 (structlog's loggers are made at their first use)
    """Return a logger whose events are a short name and what belongs to it, by keyword."""
    return structlog.stdlib.get_logger(name)


def init_app(app: Flask) -> None:
    """Write every event of the process, ours and the libraries', in one form to stderr."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_COMMON,
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    root = logging.getLogger()
    if not any(handler.name == "harbour" for handler in root.handlers):
        handler = logging.StreamHandler()
        handler.name = "harbour"
        handler.setFormatter(_formatter(terminal=sys.stderr.isatty()))
        root.addHandler(handler)
    logging.getLogger("harbour").setLevel(logging.INFO)
    trusted = bool(app.config["HARBOUR_PROXIES"])

    @app.before_request
    def name_request() -> None:
        given = request.headers.get("X-Request-ID", "") if trusted else ""
        g.request_id = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(
            request_id=g.request_id, method=request.method, path=request.path
        )

    @app.after_request
    def tell_request(response: Response) -> Response:
        # Not on what a cache shares: it would name another visitor's request.
        if response.status_code >= 500:
            response.headers["X-Request-ID"] = g.request_id
        return response


def _formatter(*, terminal: bool) -> logging.Formatter:
    last: list[Any] = (
        [structlog.dev.ConsoleRenderer()]
        if terminal
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_COMMON,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )
