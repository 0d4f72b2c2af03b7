"""OpenWeatherMap: asking it, and reading what it answers.

Two of its answers are free of charge: https://openweathermap.org/current and
https://openweathermap.org/forecast5, which has five days in steps of three hours.
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
PAUSE = 0.2  # seconds before the second attempt, and twice as long before each further one
TIMEOUT = 3.0  # seconds for one attempt
MAX_BYTES = 60_000  # of an answer; a forecast has 17,000, and a MySQL TEXT takes 65,535
PASSING = {408, 425, 429, 500, 502, 503, 504}  # worth another attempt


class ServiceError(Exception):
    """There is no answer, or none that can be used."""


class _PassingError(ServiceError):
    """It may be better in a moment."""


# --- Asking ------------------------------------------------------------------------------------


def configured() -> bool:
    """Whether there is a key for the service."""
    return bool(current_app.config["OPENWEATHERMAP_KEY"])


def ask(path: str, town: Town, deadline: float) -> str:
    """Return what the service answers about a town.

    It is tried up to three times, with pauses that grow, as long as there is time.

    Args:
        path: CURRENT or FORECAST.
        town: the town.
        deadline: when to give up, by time.monotonic().

    Raises:
        ServiceError: there was no answer, or one that no page can be made of.
    """
    query = {"units": "metric", "lang": "en", **dict(town.query)}
    query["appid"] = current_app.config["OPENWEATHERMAP_KEY"]
    url = f"{current_app.config['HARBOUR_WEATHER_URL']}{path}?{urlencode(query)}"
    read: Callable[[str], object] = read_current if path == CURRENT else read_steps
    for attempt in range(ATTEMPTS):
        if time.monotonic() >= deadline:
            raise ServiceError("no time left to ask")
        try:
            text = _get(url, deadline)
            read(text)
        except _PassingError:
            # Not all workers again at the same moment.
            pause = PAUSE * 2**attempt * random.uniform(0.5, 1.5)  # noqa: S311 (no secret)
            if attempt == ATTEMPTS - 1 or time.monotonic() + pause >= deadline:
                raise
            time.sleep(pause)
        else:
            return text
    raise AssertionError("an attempt returns or raises")


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """The key is for this service, and for no address that it names."""

    def redirect_request(self, *_: Any) -> None:  # noqa: ANN401 (urllib's arguments)
        """Follow none."""


class _InTime:
    """A connection that ends when its time is over, even if a little comes all the time.

    A socket's time-out is for each piece, and somebody may send an answer in a thousand of them.
    """

    def connect(self) -> None:
        """Connect; the time-out begins anew then."""
        super().connect()  # type: ignore[misc]
        end = threading.Timer(self.timeout, _end, (self.sock,))  # type: ignore[attr-defined]
        end.daemon = True
        end.start()


class _Connection(_InTime, HTTPConnection):
    pass


class _SecureConnection(_InTime, HTTPSConnection):
    pass


def _end(connected: socket.socket) -> None:
    with suppress(OSError):  # it has ended already
        connected.shutdown(socket.SHUT_RDWR)


class _Plain(urllib.request.HTTPHandler):
    def http_open(self, request: urllib.request.Request) -> HTTPResponse:
        """Open it in time."""
        return self.do_open(_Connection, request)


class _Secure(urllib.request.HTTPSHandler):
    def https_open(self, request: urllib.request.Request) -> HTTPResponse:
        """Open it in time."""
        return self.do_open(_SecureConnection, request, context=ssl.create_default_context())


def _get(url: str, deadline: float) -> str:
    """Return the text at an address. No message has the address in it: it has the key."""
    end = min(deadline, time.monotonic() + TIMEOUT)
    # The configuration takes http and https alone.
    request = urllib.request.Request(url, headers={"User-Agent": "Harbour"})  # noqa: S310
    opener = urllib.request.build_opener(_NoRedirects, _Plain, _Secure)
    try:
        with opener.open(request, timeout=max(0.05, end - time.monotonic())) as answer:
            data = answer.read(MAX_BYTES + 1)
            if len(data) > MAX_BYTES:
                raise ServiceError(f"more than {MAX_BYTES} bytes")
            if answer.length:
                raise _PassingError("it broke off")
            return str(data, "utf-8")
    except urllib.error.HTTPError as error:
        error.close()
        kind = _PassingError if error.code in PASSING else ServiceError
        raise kind(_refusal(error.code, error.headers)) from None
    except UnicodeDecodeError:
        raise _PassingError("not UTF-8") from None
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise _PassingError(f"{type(reason).__name__}: {reason}") from None


def _refusal(code: int, headers: Message) -> str:
    why = {401: ": OPENWEATHERMAP_KEY is not valid (yet)", 404: ": it does not know the town"}
    after = headers.get("Retry-After", "") if code == 429 else ""
    return f"status {code}{why.get(code, '')}{after and f', again after {after[:40]}'}"


# --- Reading -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sky:
    """What the sky does.

    Attributes:
        words: as the service has them, such as "light rain"; may be empty.
        picture: sun, cloud, rain, snow, storm, mist, or "" where that is not known.
        rank: how much it matters for the day, the larger the more.
    """

    words: str = ""
    picture: str = ""
    rank: int = 0


@dataclass(frozen=True)
class Current:
    """The weather now. What the service did not say, or not so that it can be, is None.

    Attributes:
        at: when it was observed.
        temperature: in degrees Celsius.
        feels_like: likewise.
        humidity: relative, in percent.
        wind: in metres per second.
        wind_from: where it comes from, in degrees from north.
        sky: what the sky does.
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
    """Three hours of the forecast; units as of the weather now.

    Attributes:
        low: the lowest temperature.
        high: the highest.
        rain: the probability of rain or snow, from 0 to 1.
    """

    at: datetime
    low: float
    high: float
    rain: float | None
    wind: float | None
    sky: Sky


@dataclass(frozen=True)
class Day:
    """A day of the forecast, or what is left of it; as its steps, with the strongest wind."""

    date: date
    low: float
    high: float
    rain: float | None
    wind: float | None
    sky: Sky


def read_current(text: str) -> Current:
    """Return the weather now, of an answer.

    Raises:
        ServiceError: it is no JSON, or has no time or no temperature that can be.
    """
    answer = _object(text)
    at = _moment(answer.get("dt"))
    main, wind = _dict(answer.get("main")), _dict(answer.get("wind"))
    temperature = _temperature(main.get("temp"))
    if at is None or temperature is None:
        raise _PassingError("an answer without a time or a temperature")
    return Current(
        at=at,
        temperature=temperature,
        feels_like=_temperature(main.get("feels_like")),
        humidity=_number(main.get("humidity"), 0, 100),
        wind=_number(wind.get("speed"), 0, 150),
        wind_from=_number(wind.get("deg"), 0, 360),
        sky=_sky(answer.get("weather")),
    )


def read_steps(text: str) -> list[Step]:
    """Return the steps of a forecast, in order. One that cannot be used is left out.

    Raises:
        ServiceError: it is no JSON, or has no step that can be used.
    """
    listed = _object(text).get("list")
    steps = [step for item in listed if (step := _step(item))] if isinstance(listed, list) else []
    if not steps:
        raise _PassingError("a forecast without a step that can be used")
    return sorted(steps, key=lambda step: step.at)


def days(steps: Iterable[Step], zone: tzinfo, first: date, most: int = 5) -> list[Day]:
    """Return the days that the steps are of, from the first wanted on.

    Args:
        steps: in order.
        zone: where a day ends at midnight.
        first: the first day that is wanted.
        most: how many at most.
    """
    found = [
        _day(day, list(of_day))
        for day, of_day in groupby(steps, key=lambda step: step.at.astimezone(zone).date())
        if day >= first
    ]
    return found[:most]


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
    known = [value for value in temperatures if value is not None]
    if at is None or not known:
        return None
    return Step(
        at=at,
        low=min(known),
        high=max(known),
        rain=_number(item.get("pop"), 0, 1),
        wind=_number(_dict(item.get("wind")).get("speed"), 0, 150),
        sky=_sky(item.get("weather")),
    )


def _sky(value: object) -> Sky:
    """Return what the first of the conditions says, by its number if it is one of the service's.

    https://openweathermap.org/weather-conditions
    """
    first = _dict(value[0]) if isinstance(value, list) and value else {}
    words = first.get("description")
    number = _number(first.get("id"), 200, 899)
    picture, rank = "", 0
    if number is not None:
        hundred = int(number) // 100
        picture = {2: "storm", 3: "rain", 5: "rain", 6: "snow", 7: "mist", 8: "cloud"}.get(hundred, "")
        if number in {800, 801}:
            picture = "sun"
        rank = {2: 600, 6: 500, 5: 400, 3: 300, 7: 200, 8: 0}.get(hundred, 0) + int(number) % 100
    return Sky(words=clean_line(words)[:60] if isinstance(words, str) else "", picture=picture, rank=rank)


def _object(text: str) -> dict[str, Any]:
    try:
        return _dict(json.loads(text))
    except (ValueError, RecursionError):
        raise _PassingError("no JSON") from None


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: object, low: float, high: float) -> float | None:
    """Return a number in range, or None for whatever else there is. True is no number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return float(value) if low <= value <= high else None


def _temperature(value: object) -> float | None:
    return _number(value, -90, 60)


def _moment(value: object) -> datetime | None:
    """Return a time of this century."""
    seconds = _number(value, 946_684_800, 4_102_444_800)
    return None if seconds is None else datetime.fromtimestamp(seconds, timezone.utc)
