"""Harbour: a small town's portal for homes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from . import (
    admin,
    api,
    assets,
    cli,
    config,
    contact,
    errors,
    formats,
    health,
    home,
    listings,
    logs,
    metrics,
    neighbourhoods,
    photos,
    quiz,
    resources,
    security,
    sitemap,
    submit,
    weather,
)
from .extensions import cache, csrf, db, limiter, migrate
from .models import Kind

# Beside the package, wherever the command is run from.
MIGRATIONS = Path(__file__).parent.parent / "migrations"


def create_app(config_overrides: Mapping[str, Any] | None = None) -> Flask:
    """Make the application.

    Args:
        config_overrides: settings that win over the environment, by the names that config.py
            uses (``DATABASE_URL``, ``SECRET_KEY``, ``HARBOUR_TOWN``, …). Tests use it.

    Raises:
        credentials.MissingCredentialError: a production setting has no value anywhere.
        config.ConfigurationError: a setting has a value that cannot be used.
    """
    app = Flask(__name__)
    app.config.from_mapping(config.load(Path(app.instance_path), config_overrides or {}))

    # In this order for each request, and the other way round for its answer.
    logs.init_app(app)
    metrics.init_app(app)
    security.init_app(app)
    assets.init_app(app)
    photos.init_app(app)
    limiter.init_app(app)
    csrf.init_app(app)

    cache.init_app(app)
    db.init_app(app)
    migrate.init_app(app, db, directory=str(MIGRATIONS))
    errors.init_app(app)
    formats.init_app(app)
    quiz.init_app(app)
    weather.init_app(app)
    app.jinja_env.globals.update(town=app.config["HARBOUR_TOWN"], kinds=tuple(Kind))

    for area in (
        *(home, listings, photos, submit, contact, resources, neighbourhoods, quiz, weather),
        *(admin, api, sitemap, health),
    ):
        app.register_blueprint(area.bp)
    for group in cli.GROUPS:
        app.cli.add_command(group)

    # Only a proxy that we know of may say who the visitor is: anyone can send these headers.
    # Flask documents middleware so; a type checker refuses to assign to any method.
    if hops := app.config["HARBOUR_PROXIES"]:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops
        )
    return app
