"""Shared fixtures: an application on an empty database with all migrations applied."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import flask_migrate
import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from hypothesis import settings
from moderators import PASSWORD, log_in
from sqlalchemy import MetaData, make_url

from harbour import config, create_app
from harbour.extensions import db
from harbour.models import Kind, Listing, Status

DATABASE_URL = os.environ.get("HARBOUR_TEST_DATABASE_URL")

# No deadline, because single examples can be slow on a busy machine.
settings.register_profile("harbour", deadline=None)
settings.load_profile("harbour")

MakeListing = Callable[..., Listing]


@pytest.fixture(scope="session", autouse=True)
def clean_environment() -> Iterator[None]:
    """Remove the machine's production settings from the environment."""
    prefixes = ("AWS_", "CREDENTIALS_", "HARBOUR_", "PROMETHEUS_", "RUNTIME_")
    credentials = {"DATABASE_URL", "SECRET_KEY", *config.OPTIONAL}
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in list(os.environ):
            if name.startswith(prefixes) or name.removesuffix("_FILE") in credentials:
                monkeypatch.delenv(name)
        yield


@pytest.fixture(scope="session")
def database_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return HARBOUR_TEST_DATABASE_URL, or the URL of a new SQLite file.

    The tests delete all tables of this database.

    With `pytest -n 2` each worker uses its own database, with the suffix _gw0 or _gw1.
    """
    if not DATABASE_URL:
        return f"sqlite:///{tmp_path_factory.mktemp('database') / 'harbour.db'}"
    url, worker = make_url(DATABASE_URL), os.environ.get("PYTEST_XDIST_WORKER")
    return url.set(database="_".join(filter(None, (url.database, worker)))).render_as_string(False)


@pytest.fixture(scope="session")
def shared_app(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """Create the application and its tables once, because migrations are slow on a real server."""
    app = create_app(
        {
            "DATABASE_URL": database_url,
            "SECRET_KEY": "test",
            "TESTING": True,
            "HARBOUR_LIMITS": "off",
            "HARBOUR_PHOTOS": str(tmp_path_factory.mktemp("photos")),
            "METRICS_TOKEN": "figures",
        }
    )
    with app.app_context():
        tables = MetaData()
        tables.reflect(db.engine)
        tables.drop_all(db.engine)
        flask_migrate.upgrade()
    yield app
    dispose(app)


@pytest.fixture
def app(shared_app: Flask) -> Iterator[Flask]:
    """Return the application, and delete all rows after the test."""
    yield shared_app
    with shared_app.app_context():
        for table in reversed(db.metadata.sorted_tables):
            db.session.execute(table.delete())
        db.session.commit()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """Return a client without cookies."""
    return app.test_client()


@pytest.fixture
def runner(app: Flask) -> FlaskCliRunner:
    """Return a runner for the application's commands."""
    return app.test_cli_runner()


@pytest.fixture
def moderator(runner: FlaskCliRunner) -> str:
    """Create a moderator and return the name."""
    result = runner.invoke(args=["moderators", "add", "ada", "--password", PASSWORD])
    assert result.exit_code == 0, result.output
    return "ada"


@pytest.fixture
def moderator_client(client: FlaskClient, moderator: str) -> FlaskClient:
    """Return a client that is logged in as the moderator."""
    assert log_in(client, moderator).status_code == 303
    return client


@pytest.fixture
def make_listing(app: Flask) -> MakeListing:
    """Return a function that stores a listing, published by default.

    Each listing is published one hour after the previous one.
    """
    times = (datetime.fromisoformat("2025-05-04") + timedelta(hours=n) for n in range(10_000))

    def make(**fields: Any) -> Listing:
        moment = next(times)
        status = fields.get("status", Status.PUBLISHED)
        values: dict[str, Any] = {
            "title": "House above the boatyard",
            "kind": Kind.HOUSE,
            "status": status,
            "price": 300_000,
            "bedrooms": 3,
            "bathrooms": 1,
            "area_m2": 120,
            "street": "12 Slip Street",
            "neighbourhood": "The Saltpans",
            "description": "Three floors, two bays and one very good banister.",
            "contact_name": "Orla Byrne",
            "contact_email": "private@example.com",
            "created_at": moment,
            "published_at": moment if status is Status.PUBLISHED else None,
        }
        with app.app_context():
            listing = Listing(**{**values, **fields})
            db.session.add(listing)
            db.session.commit()
            db.session.refresh(listing)
            db.session.expunge(listing)
        return listing

    return make


@pytest.fixture
def fresh_app(tmp_path: Path) -> Iterator[Callable[..., Flask]]:
    """Return a function that creates an application on a database without tables."""
    applications = []

    def make(**config: Any) -> Flask:
        settings = {
            "DATABASE_URL": f"sqlite:///{tmp_path / 'fresh.db'}",
            "SECRET_KEY": "test",
            "HARBOUR_PHOTOS": str(tmp_path / "photos"),
        }
        applications.append(create_app({**settings, **config}))
        return applications[-1]

    yield make
    for app in applications:
        dispose(app)


def dispose(app: Flask) -> None:
    """Close the database connections of an application."""
    with app.app_context():
        for engine in db.engines.values():
            engine.dispose()
