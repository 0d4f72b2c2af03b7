"""Metrics for Prometheus at /metrics, protected by a token.

Without the credential METRICS_TOKEN nothing is counted and /metrics does not exist.

Each worker counts separately. Under systemd the workers write to files in the unit's runtime
folder (in memory, empty at each start), and a response contains the totals of all workers. Without a
runtime folder a response contains one worker only.
"""

from __future__ import annotations

import hmac
import os
import time
from pathlib import Path

from flask import Flask, Response, abort, g, request

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)  # seconds


def init_app(app: Flask) -> None:
    """Count requests and their duration, and add /metrics."""
    token = app.config["METRICS_TOKEN"]
    if not token:
        return
    if runtime := os.environ.get("RUNTIME_DIRECTORY"):
        folder = Path(os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", f"{runtime}/metrics"))
        folder.mkdir(mode=0o700, exist_ok=True)
    # Imported here, because prometheus_client reads the variable above at import.
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
        "Number of requests.",
        ["method", "endpoint", "status"],
        registry=registry,
    )
    seconds = Histogram(
        "harbour_request_seconds",
        "Duration of requests.",
        ["endpoint"],
        registry=registry,
        buckets=BUCKETS,
    )

    @app.before_request
    def start_timer() -> None:
        g.started_at = time.perf_counter()

    @app.after_request
    def count(response: Response) -> Response:
        # By endpoint, because paths and methods chosen by clients would create unlimited series.
        endpoint = request.endpoint or "none"
        method = request.method if request.endpoint else "any"
        requests.labels(method, endpoint, response.status_code).inc()
        if "started_at" in g:
            seconds.labels(endpoint).observe(time.perf_counter() - g.started_at)
        return response

    @app.get("/metrics")
    def metrics() -> Response:
        header = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(header.encode(), token.encode()):
            abort(404)  # does not reveal that metrics exist
        selected = registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            selected = CollectorRegistry()
            MultiProcessCollector(selected)  # type: ignore[no-untyped-call]
        return Response(
            generate_latest(selected),
            content_type=CONTENT_TYPE_LATEST,
            headers={"Cache-Control": "private, no-store"},
        )
