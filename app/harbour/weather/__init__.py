"""The weather in the configured towns, on a page and by e-mail each morning.

`towns`: the configured towns. `service`: the client for OpenWeatherMap. `reports`: the last
responses. `pages`: the pages. `subscribers`: the mailing list. `digest`: sending the mails.
`commands`: commands for timers.
"""

from __future__ import annotations

from flask import Flask

from . import towns
from .pages import bp

__all__ = ["bp", "init_app"]


def init_app(app: Flask) -> None:
    """Parse the configured towns.

    Raises:
        config.ConfigurationError: the setting is invalid.
    """
    app.extensions["weather"] = towns.parse(app.config["HARBOUR_WEATHER_TOWNS"] or app.config["HARBOUR_TOWN"])
