"""The weather in the site's towns, now and for the days to come, and each morning by e-mail.

`towns` says where, `service` asks OpenWeatherMap, `reports` keeps what it answered, `pages` shows
it; `subscribers` has who wants it by e-mail, `digest` sends it, `commands` is for timers.
"""

from __future__ import annotations

from flask import Flask

from . import towns
from .pages import bp

__all__ = ["bp", "init_app"]


def init_app(app: Flask) -> None:
    """Learn which towns there are.

    Raises:
        config.ConfigurationError: the setting cannot be used.
    """
    app.extensions["weather"] = towns.parse(app.config["HARBOUR_WEATHER_TOWNS"] or app.config["HARBOUR_TOWN"])
