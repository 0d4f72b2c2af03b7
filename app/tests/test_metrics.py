"""Metrics for Prometheus."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

WITH_TOKEN = {"Authorization": "Bearer figures"}


def test_metrics_with_token_returns_counts(client: FlaskClient) -> None:
    client.get("/listings/")
    client.get("/nowhere/at/all")
    client.open("/listings/", method="BREW")
    response = client.get("/metrics", headers=WITH_TOKEN)
    assert response.status_code == 200
    assert response.mimetype == "text/plain"
    assert response.headers["Cache-Control"] == "private, no-store"
    for line in (
        'harbour_requests_total{endpoint="listings.index",method="GET",status="200"}',
        'harbour_requests_total{endpoint="none",method="any",status="404"}',
        'harbour_request_seconds_bucket{endpoint="listings.index",le="0.25"}',
    ):
        assert line in response.text
    for client_value in ("nowhere", "BREW"):
        assert client_value not in response.text


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "é"}, {"Authorization": ""}],
)
def test_metrics_without_valid_token_returns_404(client: FlaskClient, headers: dict[str, str]) -> None:
    response = client.get("/metrics", headers=headers)
    assert response.status_code == 404
    assert "Nothing moored here" in response.text
    assert "harbour_" not in response.text


def test_metrics_without_setting_are_disabled(fresh_app) -> None:
    app: Flask = fresh_app()
    assert app.test_client().get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404
    assert "metrics" not in app.view_functions


WORKER = """
import sys
from harbour import create_app
client = create_app({"METRICS_TOKEN": "figures"}).test_client()
for _ in range(int(sys.argv[1])):
    client.get("/healthz")
print(client.get("/metrics", headers={"Authorization": "Bearer figures"}).text)
"""


def test_metrics_response_is_total_of_all_workers(tmp_path: Path) -> None:
    """Two sequential processes share the runtime folder of a systemd unit."""
    (tmp_path / "run").mkdir()
    environment = {
        **os.environ,
        "RUNTIME_DIRECTORY": str(tmp_path / "run"),
        "DATABASE_URL": f"sqlite:///{tmp_path / 'harbour.db'}",
        "SECRET_KEY": "test",
    }
    counts = []
    for number in ("2", "3"):
        command = [sys.executable, "-c", WORKER, number]
        text = subprocess.run(  # noqa: S603 (constant command)
            command,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[1],
        ).stdout
        pattern = r'harbour_requests_total\{endpoint="health.alive",.*\} (\d+)'
        counts.append(re.search(pattern, text)[1])
    assert counts == ["2", "5"]
