"""Error pages."""

from __future__ import annotations

from collections.abc import Callable

import flask_migrate
import pytest
from flask import Flask, abort, redirect
from flask.testing import FlaskClient


def test_unknown_path_returns_404_page(client: FlaskClient) -> None:
    response = client.get("/nowhere")
    assert response.status_code == 404
    assert response.mimetype == "text/html"
    assert "Nothing moored here" in response.text


def test_wrong_method_returns_405_with_allow_header(client: FlaskClient) -> None:
    response = client.delete("/listings/")
    assert response.status_code == 405
    assert "GET" in response.headers["Allow"]
    assert "Not that way in" in response.text


def test_error_without_own_text_has_generic_page(fresh_app: Callable[..., Flask]) -> None:
    app = fresh_app()
    app.add_url_rule("/teapot", "teapot", lambda: abort(418))
    response = app.test_client().get("/teapot")
    assert response.status_code == 418
    assert "Rough water" in response.text


def test_raised_redirect_is_returned(fresh_app: Callable[..., Flask]) -> None:
    app = fresh_app()
    app.add_url_rule("/go", "go", lambda: abort(redirect("/")))
    assert app.test_client().get("/go").location == "/"


def test_exception_is_logged_and_not_shown(
    fresh_app: Callable[..., Flask], caplog: pytest.LogCaptureFixture
) -> None:
    app = fresh_app()
    app.add_url_rule("/fail", "fail", lambda: 1 / 0)
    response = app.test_client().get("/fail")
    assert response.status_code == 500
    assert "We have run aground" in response.text
    assert "division" not in response.text
    assert "ZeroDivisionError" in caplog.text


def test_page_without_tables_shows_command_with_503(fresh_app: Callable[..., Flask]) -> None:
    app = fresh_app()
    response = app.test_client().get("/")
    assert response.status_code == 503
    assert "flask db upgrade" in response.text
    assert response.headers["Cache-Control"] == "private, no-store"

    with app.app_context():
        flask_migrate.upgrade()
    assert app.test_client().get("/").status_code == 200


def test_unreachable_database_returns_503(fresh_app: Callable[..., Flask]) -> None:
    app = fresh_app(DATABASE_URL="sqlite:////nowhere/harbour.db")
    response = app.test_client().get("/")
    assert response.status_code == 503
    assert "Fog on the water" in response.text
    assert "nowhere" not in response.text
