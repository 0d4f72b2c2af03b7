"""Figures for Prometheus at /metrics, for whoever has the token.

Without the credential METRICS_TOKEN nothing is counted and there is no such page.

Each worker counts for itself. Under systemd they write their figures to files in the unit's runtime
folder, which is in memory and empty at each start, and whichever is asked adds all of them up.
Elsewhere the answer is that of the process that was asked.
"""

from __future__ import annotations

import hmac
import os
import time
from pathlib import Path

from flask import Flask, Response, abort, g, request

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)  # seconds


def init_app(app: Flask) -> None:
    """Count requests and how long they took, and answer who may ask for it."""
    token = app.config["METRICS_TOKEN"]
    if not token:
        return
    if runtime := os.environ.get("RUNTIME_DIRECTORY"):
        folder = Path(os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", f"{runtime}/metrics"))
        folder.mkdir(mode=0o700, exist_ok=True)
    # Imported here: where its figures go is decided by the variable above when it is imported.
    from prometheus_client import (
        CONTENT_TYPE_LATEST,
        CollectorRegistry,
        Counter,
        Histogram,
        generate_latest,
    )
    from prometheus_client.multiprocess import MultiProcessCollector

    registry = CollectorRegistry()
    requests = Counter(
        "harbour_requests_total",
        "Requests that were answered.",
        ["method", "endpoint", "status"],
        registry=registry,
    )
    seconds = Histogram(
        "harbour_request_seconds",
        "How long an answer took to make.",
        ["endpoint"],
        registry=registry,
        buckets=BUCKETS,
    )

    @app.before_request
    def begin() -> None:
        g.begun = time.perf_counter()

    @app.after_request
    def count(response: Response) -> Response:
        # By endpoint: addresses and methods that somebody makes up would be figures without end.
        endpoint = request.endpoint or "none"
        method = request.method if request.endpoint else "any"
        requests.labels(method, endpoint, response.status_code).inc()
        if "begun" in g:
            seconds.labels(endpoint).observe(time.perf_counter() - g.begun)
        return response

    @app.get("/metrics")
    def metrics() -> Response:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), token.encode()):
            abort(404)  # as if it were not there
        asked = registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            asked = CollectorRegistry()
            MultiProcessCollector(asked)  # type: ignore[no-untyped-call]
        return Response(
            generate_latest(asked),
            content_type=CONTENT_TYPE_LATEST,
            headers={"Cache-Control": "private, no-store"},
        )
