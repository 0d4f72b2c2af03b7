"""Health checks."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient


def test_healthz_without_database_returns_200(fresh_app: Callable[..., Flask]) -> None:
    app = fresh_app(DATABASE_URL="sqlite:////nowhere/harbour.db")
    response = app.test_client().get("/healthz")
    assert response.status_code == 200
    assert response.text.strip() == "ok"
    assert response.mimetype == "text/plain"
    assert response.headers["Cache-Control"] == "private, no-store"


def test_readyz_returns_200(client: FlaskClient) -> None:
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json == {"status": "ok"}
    assert response.headers["Cache-Control"] == "private, no-store"


@pytest.mark.parametrize(
    ("config", "failed"),
    [({"DATABASE_URL": "sqlite:////nowhere/harbour.db"}, "database"), ({}, "listings")],
)
def test_readyz_failure_returns_only_name_of_check(
    fresh_app: Callable[..., Flask],
    caplog: pytest.LogCaptureFixture,
    config: dict[str, str],
    failed: str,
) -> None:
    response = fresh_app(**config).test_client().get("/readyz")
    assert response.status_code == 503
    assert response.json == {"status": "unavailable", "failed": failed}
    assert response.headers["Cache-Control"] == "private, no-store"
    assert "OperationalError" in caplog.text
