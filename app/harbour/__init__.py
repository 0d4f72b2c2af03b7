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
    outages,
    photos,
    pictures,
    quiz,
    resources,
    security,
    sitemap,
    submit,
    weather,
)
from .extensions import cache, csrf, db, limiter, migrate
from .models import Kind

# An absolute path, because commands run in any working directory.
MIGRATIONS = Path(__file__).parent.parent / "migrations"


def create_app(config_overrides: Mapping[str, Any] | None = None) -> Flask:
    """Create the application.

    Args:
        config_overrides: settings that take precedence over the environment, named as in
            config.py (``DATABASE_URL``, ``SECRET_KEY``, ``HARBOUR_TOWN``, …). For tests.

    Raises:
        credentials.MissingCredentialError: a required credential has no value.
        config.ConfigurationError: a setting has an invalid value.
    """
    app = Flask(__name__)
    app.config.from_mapping(config.load(Path(app.instance_path), config_overrides or {}))

    # Flask calls before_request hooks in this order and after_request hooks in reverse.
    logs.init_app(app)
    metrics.init_app(app)
    security.init_app(app)
    assets.init_app(app)
    photos.init_app(app)
    pictures.init_app(app)
    limiter.init_app(app)
    csrf.init_app(app)

    cache.init_app(app)
    db.init_app(app)
    migrate.init_app(app, db, directory=str(MIGRATIONS))
    outages.init_app(app)
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

    # Trust forwarding headers only behind a configured proxy, because any client can send them.
    # Flask documents this assignment; type checkers reject assignments to methods.
    if hops := app.config["HARBOUR_PROXIES"]:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops
        )
    return app
