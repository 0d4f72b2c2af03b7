"""Stub of OpenWeatherMap: valid responses, and faults on request.

    python -m harbour_fakes.openweathermap --port 8900 --key fake

Uses the standard library only. POST /_fault?kind=KIND injects a fault into all responses until KIND
is `none`. GET /_requests returns the number of requests per path.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from socketserver import ThreadingMixIn
from typing import Any
from urllib.parse import parse_qs
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

SKIES = (
    (800, "clear sky", "01d"),
    (802, "scattered clouds", "03d"),
    (500, "light rain", "10d"),
    (741, "fog", "50d"),
    (601, "snow", "13d"),
    (211, "thunderstorm", "11d"),
)
STEP = 3 * 60 * 60
# Invalid values for every field.
WRONG_TYPES = {
    "dt": "noon",
    "main": {"temp": "mild", "feels_like": True, "humidity": None, "temp_min": [], "temp_max": {}},
    "weather": {"id": "800"},
    "wind": [3],
    "pop": "often",
}

StartResponse = Callable[..., Any]


class OpenWeatherMap:
    """The stub as a WSGI application.

    Attributes:
        key: valid API key.
        fault: kind of fault: none, slow, drip, 500, 429, redirect, truncated, html, wrong-types,
            partly-invalid, too-large.
        faults: number of faulty responses left, or None for all.
        requests: number of requests per path.
        slow: seconds of a slow response.
    """

    def __init__(self, key: str = "fake") -> None:
        self.key = key
        self.fault = "none"
        self.faults: int | None = None
        self.requests: Counter[str] = Counter()
        self.slow = 20.0

    def __call__(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        """Return a response."""
        path = environ["PATH_INFO"]
        query = {name: values[-1] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
        if path == "/_fault" and environ["REQUEST_METHOD"] == "POST":
            self.fault, self.faults = query.get("kind", "none"), None
            return _send(start, "200 OK", {"fault": self.fault})
        if path == "/_requests":
            return _send(start, "200 OK", dict(self.requests))
        self.requests[path] += 1
        if query.get("appid") != self.key:
            return _send(start, "401 Unauthorized", {"cod": 401, "message": "Invalid API key."})
        if query.get("q") == "Nowhere" or not ({"q", "lat"} & query.keys()):
            return _send(start, "404 Not Found", {"cod": "404", "message": "city not found"})
        if path == "/data/2.5/weather":
            content = current(query.get("q", "a place"))
        elif path == "/data/2.5/forecast":
            content = forecast(query.get("q", "a place"))
        else:
            return _send(start, "404 Not Found", {"cod": "404", "message": "Internal error"})
        fault = self._next_fault()
        return (
            self._fault_response(fault, content, start)
            if fault != "none"
            else _send(start, "200 OK", content)
        )

    def _next_fault(self) -> str:
        if self.faults is not None:
            if self.faults <= 0:
                return "none"
            self.faults -= 1
        return self.fault

    def _fault_response(self, fault: str, content: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        body = json.dumps(content).encode()
        if fault == "slow":
            time.sleep(self.slow)
        elif fault == "drip":
            start("200 OK", [("Content-Length", str(len(body)))])
            return self._drip(body)
        elif fault in {"500", "429"}:
            return _send(start, f"{fault} Fault", {"cod": fault}, [("Retry-After", "60")])
        elif fault == "redirect":
            start("302 Found", [("Location", "/elsewhere"), ("Content-Length", "0")])
            return [b""]
        elif fault == "truncated":
            start("200 OK", [("Content-Length", str(len(body)))])
            return [body[: len(body) // 2]]
        elif fault == "html":
            body = b"<html>Bad gateway</html>"
        elif fault == "wrong-types":
            invalid = {**content, **WRONG_TYPES, "list": 7}
            body = json.dumps(invalid).encode()
        elif fault == "partly-invalid":
            # Optional values and every other step are invalid.
            partly_invalid = {**WRONG_TYPES, "dt": content.get("dt"), "main": content.get("main")}
            content = {**content, **partly_invalid}
            content["list"] = [
                step if n % 2 else {**step, **WRONG_TYPES} for n, step in enumerate(content.get("list", []))
            ]
            body = json.dumps(content).encode()
        elif fault == "too-large":
            body = b'{"a": "' + b"x" * 1_000_000 + b'"}'
        start("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    def _drip(self, body: bytes) -> Iterable[bytes]:
        for position in range(len(body)):
            time.sleep(self.slow / len(body))
            yield body[position : position + 1]


def current(name: str, moment: float | None = None) -> dict[str, Any]:
    """Return the current weather, which depends only on place and time."""
    seconds = int(moment or time.time())
    return {
        "coord": {"lon": -52.71, "lat": 47.56},
        "base": "stations",
        "visibility": 10_000,
        "timezone": -12_600,
        "id": 6_324_733,
        "name": name,
        "cod": 200,
        **_weather(name, seconds),
    }


def forecast(name: str, moment: float | None = None) -> dict[str, Any]:
    """Return a forecast of five days in steps of three hours, which depends only on place and time."""
    first = (int(moment or time.time()) // STEP + 1) * STEP
    steps = []
    for at in range(first, first + 40 * STEP, STEP):
        text = f"{datetime.fromtimestamp(at, timezone.utc):%Y-%m-%d %H:%M:%S}"
        steps.append({**_weather(name, at), "pop": (at // STEP) % 11 / 10, "dt_txt": text})
    city = {"id": 1, "name": name, "country": "CA", "timezone": -12_600}
    return {"cod": "200", "message": 0, "cnt": len(steps), "list": steps, "city": city}


def _weather(name: str, seconds: int) -> dict[str, Any]:
    place = sum(map(ord, name)) % 10
    number, description, icon = SKIES[(seconds // (2 * STEP) + place) % len(SKIES)]
    day = 2 * math.pi * seconds / 86_400
    degrees = round(place - 4 - 6 * math.cos(day), 2)
    return {
        "dt": seconds,
        "main": {
            "temp": degrees,
            "feels_like": round(degrees - 2.5, 2),
            "temp_min": round(degrees - 1, 2),
            "temp_max": round(degrees + 1, 2),
            "pressure": 1013,
            "humidity": 60 + place,
        },
        "weather": [{"id": number, "main": description.title(), "description": description, "icon": icon}],
        "clouds": {"all": 40},
        "wind": {"speed": round(6 + 4 * math.sin(day), 2), "deg": (seconds // 600) % 360},
    }


def _send(
    start: StartResponse,
    status: str,
    content: dict[str, Any],
    headers: list[tuple[str, str]] | None = None,
) -> Iterable[bytes]:
    body = json.dumps(content).encode()
    common = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    start(status, [*common, *(headers or [])])
    return [body]


class Server(ThreadingMixIn, WSGIServer):
    """A concurrent server that does not wait for slow responses when it stops."""

    daemon_threads = True
    block_on_close = False


class _SilentHandler(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:  # noqa: ANN401 (wsgiref's arguments)
        """Log nothing, because the URL contains the key."""


def serve(service: OpenWeatherMap, host: str = "127.0.0.1", port: int = 0) -> Server:
    """Return a server for the service. Its port is in `server_port`."""
    return make_server(host, port, service, server_class=Server, handler_class=_SilentHandler)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A stub of OpenWeatherMap.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8900)
    parser.add_argument("--key", default="fake")
    options = parser.parse_args()
    serve(OpenWeatherMap(options.key), options.host, options.port).serve_forever()
