"""Structured logs: one JSON object per event on stderr, which the journal stores.

On a terminal the events are formatted for people. Events of a request contain the request ID,
which is also in nginx's access log.
"""

from __future__ import annotations

import logging
import re
import sys
import uuid
from typing import Any

import structlog
from flask import Flask, Response, g, request

# nginx's $request_id, and UUIDs. Other values are not logged.
REQUEST_ID = re.compile(r"[0-9a-f][0-9a-f-]{15,63}")

_COMMON: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def get(name: str) -> Any:  # noqa: ANN401 (structlog creates loggers lazily)
    """Return a logger that takes a short event name and keyword arguments."""
    return structlog.stdlib.get_logger(name)


def init_app(app: Flask) -> None:
    """Write all events of the process, including those of libraries, to stderr in one format."""
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
    def assign_request_id() -> None:
        header = request.headers.get("X-Request-ID", "") if trusted else ""
        g.request_id = header if REQUEST_ID.fullmatch(header) else uuid.uuid4().hex
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(
            request_id=g.request_id, method=request.method, path=request.path
        )

    @app.after_request
    def add_request_id(response: Response) -> Response:
        # Not on cacheable responses, which would show the ID of another visitor's request.
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
