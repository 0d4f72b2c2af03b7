"""Figures for Prometheus."""

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


def test_who_has_the_token_gets_figures(client: FlaskClient) -> None:
    client.get("/listings/")
    client.get("/nowhere/at/all")
    client.open("/listings/", method="BREW")
    answer = client.get("/metrics", headers=WITH_TOKEN)
    assert answer.status_code == 200
    assert answer.mimetype == "text/plain"
    assert answer.headers["Cache-Control"] == "private, no-store"
    for line in (
        'harbour_requests_total{endpoint="listings.index",method="GET",status="200"}',
        'harbour_requests_total{endpoint="none",method="any",status="404"}',
        'harbour_request_seconds_bucket{endpoint="listings.index",le="0.25"}',
    ):
        assert line in answer.text
    for made_up in ("nowhere", "BREW"):
        assert made_up not in answer.text


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "é"}, {"Authorization": ""}],
)
def test_for_everybody_else_there_is_no_such_page(client: FlaskClient, headers: dict[str, str]) -> None:
    answer = client.get("/metrics", headers=headers)
    assert answer.status_code == 404
    assert "Nothing moored here" in answer.text
    assert "harbour_" not in answer.text


def test_without_a_token_nothing_is_counted(fresh_app) -> None:
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


def test_whichever_worker_is_asked_adds_all_up(tmp_path: Path) -> None:
    """Two processes, one after the other, with the runtime folder that systemd gives a unit."""
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
        text = subprocess.run(  # noqa: S603 (ours)
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
