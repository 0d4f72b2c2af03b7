"""OpenWeatherMap: the client, and the validation of its responses.

Two endpoints are free of charge: https://openweathermap.org/current and
https://openweathermap.org/forecast5 (five days in steps of three hours).
"""

from __future__ import annotations

import json
import math
import random
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timezone, tzinfo
from email.message import Message
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from itertools import groupby
from typing import Any
from urllib.parse import urlencode

from flask import current_app

from ..formats import clean_line
from .towns import Town

CURRENT = "/data/2.5/weather"
FORECAST = "/data/2.5/forecast"
ATTEMPTS = 3
PAUSE = 0.2  # seconds before the second attempt, doubles for each further attempt
TIMEOUT = 3.0  # seconds for one attempt
MAX_BYTES = 60_000  # of a response; a forecast has 17,000, and a MySQL TEXT stores 65,535
RETRY_STATUSES = {408, 425, 429, 500, 502, 503, 504}


class ServiceError(Exception):
    """The service did not respond, or with an invalid response."""


class _TransientError(ServiceError):
    """A failure after which the client retries."""


# --- Requests ----------------------------------------------------------------------------------


def configured() -> bool:
    """Return whether OPENWEATHERMAP_KEY is set."""
    return bool(current_app.config["OPENWEATHERMAP_KEY"])


def fetch(path: str, town: Town, deadline: float) -> str:
    """Return the response of the service for a town.

    Tries up to three times with increasing pauses, until the deadline.

    Args:
        path: CURRENT or FORECAST.
        town: the town.
        deadline: time after which no attempt starts, by time.monotonic().

    Raises:
        ServiceError: the service did not respond, or with an invalid response.
    """
    query = {"units": "metric", "lang": "en", **dict(town.query)}
    query["appid"] = current_app.config["OPENWEATHERMAP_KEY"]
    url = f"{current_app.config['HARBOUR_WEATHER_URL']}{path}?{urlencode(query)}"
    read: Callable[[str], object] = read_current if path == CURRENT else read_steps
    for attempt in range(ATTEMPTS):
        if time.monotonic() >= deadline:
            raise ServiceError("deadline exceeded")
        try:
            text = _get(url, deadline)
            read(text)
        except _TransientError:
            # Jitter, so that workers do not retry at the same moment.
            pause = PAUSE * 2**attempt * random.uniform(0.5, 1.5)  # noqa: S311 (not for cryptography)
            if attempt == ATTEMPTS - 1 or time.monotonic() + pause >= deadline:
                raise
            time.sleep(pause)
        else:
            return text
    raise AssertionError("an attempt returns or raises")


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Reject redirects, because the key must not be sent to other hosts."""

    def redirect_request(self, *_: Any) -> None:  # noqa: ANN401 (urllib's arguments)
        """Return None, so that urllib raises the redirect as an error."""


class _TotalTimeout:
    """A connection with a timeout for the complete exchange.

    A socket's timeout applies to each read only, which slow servers can extend without limit.
    """

    def connect(self) -> None:
        """Connect, and start the timer."""
        super().connect()  # type: ignore[misc]
        timer = threading.Timer(self.timeout, _shut_down, (self.sock,))  # type: ignore[attr-defined]
        timer.daemon = True
        timer.start()


class _Connection(_TotalTimeout, HTTPConnection):
    pass


class _SecureConnection(_TotalTimeout, HTTPSConnection):
    pass


def _shut_down(sock: socket.socket) -> None:
    with suppress(OSError):  # already closed
        sock.shutdown(socket.SHUT_RDWR)


class _HttpHandler(urllib.request.HTTPHandler):
    def http_open(self, request: urllib.request.Request) -> HTTPResponse:
        """Open with a total timeout."""
        return self.do_open(_Connection, request)


class _HttpsHandler(urllib.request.HTTPSHandler):
    def https_open(self, request: urllib.request.Request) -> HTTPResponse:
        """Open with a total timeout."""
        return self.do_open(_SecureConnection, request, context=ssl.create_default_context())


def _get(url: str, deadline: float) -> str:
    """Return the text at a URL. Error messages omit the URL, because it contains the key."""
    end = min(deadline, time.monotonic() + TIMEOUT)
    # The configuration allows http and https only.
    request = urllib.request.Request(url, headers={"User-Agent": "Harbour"})  # noqa: S310
    opener = urllib.request.build_opener(_NoRedirects, _HttpHandler, _HttpsHandler)
    try:
        with opener.open(request, timeout=max(0.05, end - time.monotonic())) as response:
            data = response.read(MAX_BYTES + 1)
            if len(data) > MAX_BYTES:
                raise ServiceError(f"more than {MAX_BYTES} bytes")
            if response.length:
                raise _TransientError("incomplete response")
            return str(data, "utf-8")
    except urllib.error.HTTPError as error:
        error.close()
        kind = _TransientError if error.code in RETRY_STATUSES else ServiceError
        raise kind(_status_message(error.code, error.headers)) from None
    except UnicodeDecodeError:
        raise _TransientError("not UTF-8") from None
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise _TransientError(f"{type(reason).__name__}: {reason}") from None


def _status_message(code: int, headers: Message) -> str:
    reasons = {401: ": OPENWEATHERMAP_KEY is invalid or not active yet", 404: ": unknown town"}
    after = headers.get("Retry-After", "") if code == 429 else ""
    return f"status {code}{reasons.get(code, '')}{after and f', retry after {after[:40]}'}"


# --- Validation --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sky:
    """The condition of the sky.

    Attributes:
        description: text by the service, such as "light rain"; may be empty.
        picture: sun, cloud, rain, snow, storm, mist, or "".
        rank: importance for a day's summary; the highest rank wins.
    """

    description: str = ""
    picture: str = ""
    rank: int = 0


@dataclass(frozen=True)
class Current:
    """The current weather. Missing and implausible values are None.

    Attributes:
        at: time of the observation.
        temperature: in degrees Celsius.
        feels_like: perceived temperature in degrees Celsius.
        humidity: relative, in percent.
        wind: in metres per second.
        wind_from: direction of the wind's origin, in degrees from north.
        sky: condition of the sky.
    """

    at: datetime
    temperature: float
    feels_like: float | None
    humidity: float | None
    wind: float | None
    wind_from: float | None
    sky: Sky


@dataclass(frozen=True)
class Step:
    """Three hours of the forecast, in the same units as `Current`.

    Attributes:
        low: lowest temperature.
        high: highest temperature.
        rain: probability of rain or snow, from 0 to 1.
    """

    at: datetime
    low: float
    high: float
    rain: float | None
    wind: float | None
    sky: Sky


@dataclass(frozen=True)
class Day:
    """A day of the forecast, or its rest, summarised from its steps."""

    date: date
    low: float
    high: float
    rain: float | None
    wind: float | None
    sky: Sky


def read_current(text: str) -> Current:
    """Parse a response with the current weather.

    Raises:
        ServiceError: the response is not JSON, or lacks a plausible time or temperature.
    """
    response = _object(text)
    at = _moment(response.get("dt"))
    main, wind = _dict(response.get("main")), _dict(response.get("wind"))
    temperature = _temperature(main.get("temp"))
    if at is None or temperature is None:
        raise _TransientError("no plausible time or temperature")
    return Current(
        at=at,
        temperature=temperature,
        feels_like=_temperature(main.get("feels_like")),
        humidity=_number(main.get("humidity"), 0, 100),
        wind=_number(wind.get("speed"), 0, 150),
        wind_from=_number(wind.get("deg"), 0, 360),
        sky=_sky(response.get("weather")),
    )


def read_steps(text: str) -> list[Step]:
    """Parse a forecast into its steps, in order. Invalid steps are skipped.

    Raises:
        ServiceError: the response is not JSON, or has no valid step.
    """
    items = _object(text).get("list")
    steps = [step for item in items if (step := _step(item))] if isinstance(items, list) else []
    if not steps:
        raise _TransientError("the forecast has no valid step")
    return sorted(steps, key=lambda step: step.at)


def days(steps: Iterable[Step], zone: tzinfo, first: date, max_days: int = 5) -> list[Day]:
    """Summarise steps by day, starting with the first requested day.

    Args:
        steps: in order.
        zone: time zone of the days.
        first: the first day to return.
        max_days: maximum number of days.
    """
    all_days = [
        _day(day, list(of_day))
        for day, of_day in groupby(steps, key=lambda step: step.at.astimezone(zone).date())
        if day >= first
    ]
    return all_days[:max_days]


def _day(day: date, steps: list[Step]) -> Day:
    return Day(
        date=day,
        low=min(step.low for step in steps),
        high=max(step.high for step in steps),
        rain=max((step.rain for step in steps if step.rain is not None), default=None),
        wind=max((step.wind for step in steps if step.wind is not None), default=None),
        sky=max((step.sky for step in steps), key=lambda sky: sky.rank),
    )


def _step(item: object) -> Step | None:
    item = _dict(item)
    main = _dict(item.get("main"))
    at = _moment(item.get("dt"))
    temperatures = [_temperature(main.get(name)) for name in ("temp", "temp_min", "temp_max")]
    plausible = [value for value in temperatures if value is not None]
    if at is None or not plausible:
        return None
    return Step(
        at=at,
        low=min(plausible),
        high=max(plausible),
        rain=_number(item.get("pop"), 0, 1),
        wind=_number(_dict(item.get("wind")).get("speed"), 0, 150),
        sky=_sky(item.get("weather")),
    )


def _sky(value: object) -> Sky:
    """Return the first condition, with picture and rank from its number.

    https://openweathermap.org/weather-conditions
    """
    first = _dict(value[0]) if isinstance(value, list) and value else {}
    description = first.get("description")
    number = _number(first.get("id"), 200, 899)
    picture, rank = "", 0
    if number is not None:
        group = int(number) // 100
        picture = {2: "storm", 3: "rain", 5: "rain", 6: "snow", 7: "mist", 8: "cloud"}.get(group, "")
        if number in {800, 801}:
            picture = "sun"
        rank = {2: 600, 6: 500, 5: 400, 3: 300, 7: 200, 8: 0}.get(group, 0) + int(number) % 100
    text = clean_line(description)[:60] if isinstance(description, str) else ""
    return Sky(description=text, picture=picture, rank=rank)


def _object(text: str) -> dict[str, Any]:
    try:
        return _dict(json.loads(text))
    except (ValueError, RecursionError):
        raise _TransientError("not JSON") from None


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: object, low: float, high: float) -> float | None:
    """Return a number in range, or None. Booleans are not numbers."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return float(value) if low <= value <= high else None


def _temperature(value: object) -> float | None:
    return _number(value, -90, 60)


def _moment(value: object) -> datetime | None:
    """Return a plausible time: of this century."""
    seconds = _number(value, 946_684_800, 4_102_444_800)
    return None if seconds is None else datetime.fromtimestamp(seconds, timezone.utc)
