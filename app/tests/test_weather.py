"""The weather: the client, the validation, stored reports and the page."""

from __future__ import annotations

import gzip
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from conftest import dispose
from fake_mail import create_certificate
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, update
from test_factory import Page

from harbour import config, create_app
from harbour.extensions import cache, db
from harbour.models import now
from harbour.weather import reports, service, towns
from harbour.weather.models import Report
from harbour.weather.towns import Town
from harbour.weather.units import Units, point
from harbour_fakes import openweathermap
from harbour_fakes.openweathermap import OpenWeatherMap

COBH = Town("Cobh", "cobh", (("q", "Cobh"),))
KEY = "secret-key"

Stub = tuple[OpenWeatherMap, str]


@pytest.fixture
def stub() -> Iterator[Stub]:
    """Run a stub of OpenWeatherMap, and yield the stub and its URL."""
    openweather = OpenWeatherMap(KEY)
    server = openweathermap.serve(openweather)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield openweather, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def site(stub: Stub, fresh_app: Callable[..., Flask], monkeypatch) -> Flask:
    """Return an application with two towns, the stub and short timeouts."""
    monkeypatch.setattr(service, "PAUSE", 0.01)
    monkeypatch.setattr(service, "TIMEOUT", 0.4)
    monkeypatch.setattr(reports, "MAX_WAIT", 1.0)
    app = fresh_app(
        OPENWEATHERMAP_KEY=KEY,
        HARBOUR_WEATHER_URL=stub[1] + "/",
        HARBOUR_WEATHER_TOWNS="Cobh; Petty Harbour=47.466,-52.708",
        HARBOUR_TIMEZONE="Europe/Dublin",
    )
    with app.app_context():
        db.create_all()
    return app


def age_reports(app: Flask, **ago: float) -> None:
    """Make stored reports older, and clear the cache."""
    age = timedelta(**ago)
    with app.app_context():
        cache.clear()
        for report in db.session.query(Report):
            for name in ("current_at", "forecast_at", "requested_at"):
                if at := getattr(report, name):
                    setattr(report, name, at - age)
        db.session.commit()


# --- The page ----------------------------------------------------------------------------------


def test_page_without_key_shows_notice(client) -> None:
    response = client.get("/weather/?town=cobh&units=imperial")
    assert response.status_code == 200
    assert "There is no weather service behind this page yet" in response.text
    assert "OPENWEATHERMAP_KEY" in response.text


def test_page_shows_current_weather_and_forecast(site: Flask) -> None:
    response = site.test_client().get("/weather/")
    assert response.status_code == 200
    assert "<h1>The weather in Cobh</h1>" in response.text
    now_ = openweathermap.current("Cobh")
    assert Units.METRIC.temperature(now_["main"]["temp"]) in response.text
    assert now_["weather"][0]["description"].capitalize() in response.text
    assert len(re.findall(r'<th scope="row">', response.text)) == 5
    assert "does not answer" not in response.text
    assert "OpenWeather</a>" in response.text
    assert KEY not in response.text
    assert response.headers["Cache-Control"] == "public, max-age=1"
    assert "Set-Cookie" not in response.headers


def test_page_is_accessible_small_and_matches_csp(site: Flask) -> None:
    text = site.test_client().get("/weather/").text
    page = Page(text)
    assert page.all("html") == [{"lang": "en"}]
    for tag in ("title", "h1", "main", "footer"):
        assert len(page.all(tag)) == 1, tag
    assert not page.all("script", "style")
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name == "style" or name.startswith("on")], tag
    for picture in page.all("svg"):
        assert picture["aria-hidden"] == "true"
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert len(gzip.compress(text.encode(), 5)) < 8_000


def test_page_shows_selected_town_and_units(site: Flask) -> None:
    client = site.test_client()
    page = client.get("/weather/?town=petty-harbour&units=imperial").text
    assert "<h1>The weather in Petty Harbour</h1>" in page
    assert "°F" in page
    assert "mph" in page
    assert "km/h</strong>" not in page
    # Each link keeps the other selection.
    assert 'href="/weather/?units=imperial">Cobh</a>' in page
    assert 'href="/weather/?town=petty-harbour">°C and km/h</a>' in page
    for invalid in ("?town=nowhere&units=kelvin", "?town=" + "x" * 5000, "?town=%00&units=%ff"):
        assert "<h1>The weather in Cobh</h1>" in client.get("/weather/" + invalid).text


def test_service_is_requested_once_for_all_visitors(site: Flask, stub: Stub) -> None:
    openweather, _ = stub
    for _ in range(5):
        site.test_client().get("/weather/")
    assert openweather.requests == {service.CURRENT: 1, service.FORECAST: 1}
    with site.app_context():
        cache.clear()  # as in another worker
    site.test_client().get("/weather/")
    assert openweather.requests[service.CURRENT] == 1, "expected another worker to use the stored report"
    age_reports(site, minutes=11)
    site.test_client().get("/weather/")
    assert openweather.requests == {service.CURRENT: 2, service.FORECAST: 2}


def test_page_query_counts(site: Flask) -> None:
    statements: list[str] = []
    with site.app_context():
        event.listen(db.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    counts = []
    for prepare in (lambda: None, lambda: None, lambda: age_reports(site, minutes=11)):
        prepare()
        statements.clear()
        site.test_client().get("/weather/")
        counts.append(len(statements))
    assert counts == [3, 0, 3], "expected counts for the first request, the cache, and a refresh"


# --- Faults of the service ---------------------------------------------------------------------

FAULTS = ["slow", "drip", "500", "429", "redirect", "truncated", "html", "wrong-types", "too-large"]


@pytest.mark.parametrize("fault", FAULTS)
def test_page_shows_last_report_with_age_during_fault(site: Flask, stub: Stub, fault: str) -> None:
    openweather, _ = stub
    site.test_client().get("/weather/")
    age_reports(site, hours=3)
    openweather.fault = fault
    started = time.monotonic()
    response = site.test_client().get("/weather/")
    duration = time.monotonic() - started
    assert response.status_code == 200
    assert "does not answer at the moment" in response.text
    assert "3 hours ago" in response.text
    assert len(re.findall(r'<th scope="row">', response.text)) >= 4
    assert duration < 1.8, f"found {duration:.1f} s, expected a page within the maximum wait"
    # For a minute, no worker sends another request.
    requests = openweather.requests.total()
    with site.app_context():
        cache.clear()
    site.test_client().get("/weather/")
    assert openweather.requests.total() == requests
    # After a minute, the next page sends a request.
    openweather.fault = "none"
    age_reports(site, minutes=2)
    assert "does not answer" not in site.test_client().get("/weather/").text


@pytest.mark.parametrize("fault", FAULTS)
def test_page_without_report_shows_notice(site: Flask, stub: Stub, fault: str) -> None:
    stub[0].fault = fault
    response = site.test_client().get("/weather/")
    assert response.status_code == 200
    assert "There is no report from the weather service" in response.text
    assert "There is no forecast" in response.text


@pytest.mark.parametrize("host", ["127.0.0.1:1", "no..such", "nowhere.invalid"])
def test_page_with_unreachable_service_shows_notice(site: Flask, host: str) -> None:
    site.config["HARBOUR_WEATHER_URL"] = f"http://{host}"
    assert "There is no report from the weather service" in site.test_client().get("/weather/").text


def test_endless_headers_exceed_total_timeout(site: Flask) -> None:
    """The server sends a header every 0.1 s."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection, suppress(OSError):
                        connection.sendall(b"HTTP/1.1 200 OK\r\n")
                        for _ in range(60):
                            time.sleep(0.1)
                            connection.sendall(b"X: y\r\n")

        threading.Thread(target=drip, daemon=True).start()
        site.config["HARBOUR_WEATHER_URL"] = f"http://127.0.0.1:{server.getsockname()[1]}"
        started = time.monotonic()
        assert "There is no report from the weather service" in site.test_client().get("/weather/").text
        duration = time.monotonic() - started
        server.shutdown(socket.SHUT_RDWR)
    assert duration < 3, f"found {duration:.1f} s, expected a timeout before 3 s"


@pytest.mark.parametrize("trusted", [True, False])
def test_https_certificate_is_verified(site: Flask, tmp_path: Path, monkeypatch, trusted: bool) -> None:
    certificate, context = create_certificate(tmp_path)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    openweather = OpenWeatherMap(KEY)
    with openweathermap.serve(openweather) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        site.config["HARBOUR_WEATHER_URL"] = f"https://127.0.0.1:{server.server_port}"
        page = site.test_client().get("/weather/").text
        server.shutdown()
    assert openweather.requests.total() == (2 if trusted else 0)
    assert ("There is no report from the weather service" in page) is not trusted


def test_transient_fault_is_retried(site: Flask, stub: Stub) -> None:
    stub[0].fault, stub[0].faults = "500", 2
    assert "Now</h2>" in site.test_client().get("/weather/").text
    assert stub[0].requests == {service.CURRENT: 3, service.FORECAST: 1}


@pytest.mark.parametrize(("key", "town"), [("wrong", COBH), (KEY, Town("X", "x", (("q", "Nowhere"),)))])
def test_client_error_is_not_retried(site: Flask, stub: Stub, key: str, town: Town) -> None:
    site.config["OPENWEATHERMAP_KEY"] = key
    with site.app_context(), pytest.raises(service.ServiceError, match="status 40"):
        service.fetch(service.CURRENT, town, time.monotonic() + 5)
    assert stub[0].requests.total() == 1


def test_key_is_not_logged_or_sent_to_redirect_target(site: Flask, stub: Stub, caplog) -> None:
    for fault in (*FAULTS, "unreachable"):
        stub[0].fault = fault
        if fault == "unreachable":
            site.config["HARBOUR_WEATHER_URL"] = "http://127.0.0.1:1"
        age_reports(site, hours=1)
        site.test_client().get("/weather/")
    assert "weather_request_failed" in caplog.text
    assert KEY not in caplog.text
    assert "/elsewhere" not in stub[0].requests


def test_valid_values_of_invalid_response_are_used(site: Flask, stub: Stub) -> None:
    stub[0].fault = "partly-invalid"
    page = site.test_client().get("/weather/").text
    assert Units.METRIC.temperature(openweathermap.current("Cobh")["main"]["temp"]) in page
    assert "humidity" in page  # valid in this response
    assert "None" not in page
    assert len(re.findall(r'<th scope="row">', page)) == 5


def test_unreadable_stored_report_counts_as_missing(site: Flask) -> None:
    site.test_client().get("/weather/")
    with site.app_context():
        db.session.execute(update(Report).values(current_json="{", forecast_json="[]"))
        db.session.commit()
        cache.clear()
    assert "There is no report from the weather service" in site.test_client().get("/weather/").text


def test_concurrent_workers_send_one_request(site: Flask, stub: Stub, monkeypatch) -> None:
    """One worker waits for the service. The others return the stored report."""
    site.test_client().get("/weather/")
    age_reports(site, hours=2)
    openweather, _ = stub
    openweather.requests.clear()
    openweather.fault, openweather.slow = "slow", 0.3
    monkeypatch.setattr(service, "TIMEOUT", 5.0)
    durations, pages = [], []

    def visit() -> None:
        started = time.monotonic()
        with site.app_context():
            text = json.dumps(reports.refresh(towns.find("cobh"), reports.MAX_AGE, 5))
        durations.append(time.monotonic() - started)
        pages.append(text)

    visitors = [threading.Thread(target=visit) for _ in range(6)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    assert openweather.requests == {service.CURRENT: 1, service.FORECAST: 1}
    assert sum(seconds > 0.5 for seconds in durations) == 1, durations
    assert len(pages) == 6


# --- Fetch command -----------------------------------------------------------------------------


def test_fetch_command_refreshes_all_towns(site: Flask, stub: Stub) -> None:
    result = site.test_cli_runner().invoke(args=["weather", "fetch"])
    assert (result.exit_code, result.output) == (0, "Fetched the weather of 2 towns.\n")
    requests = stub[0].requests.total()
    assert requests == 4
    assert "Now</h2>" in site.test_client().get("/weather/?town=petty-harbour").text
    assert stub[0].requests.total() == requests
    stub[0].fault = "500"
    age_reports(site, hours=1)
    result = site.test_cli_runner().invoke(args=["weather", "fetch"])
    assert result.exit_code == 1
    assert "No new weather for Petty Harbour" in result.output


def test_fetch_command_without_key_fails(runner) -> None:
    result = runner.invoke(args=["weather", "fetch"])
    assert result.exit_code == 1
    assert "OPENWEATHERMAP_KEY is not set" in result.output


# --- Validation --------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
PLACES = ["dt", "main", "wind", "weather", "list", "pop", "temp", "temp_min", "temp_max", "id"]


def replace_values(value: Any, name: str, wrong: Any) -> Any:
    """Return a copy with all values of this name replaced."""
    if isinstance(value, dict):
        return {
            key: wrong if key == name else replace_values(inner, name, wrong) for key, inner in value.items()
        }
    return [replace_values(inner, name, wrong) for inner in value] if isinstance(value, list) else value


@given(st.sampled_from([*PLACES, "feels_like", "humidity", "speed", "deg", "description"]), JSON)
def test_invalid_value_raises_only_service_error(name: str, wrong: Any) -> None:
    for read, content in (
        (service.read_current, openweathermap.current("Cobh")),
        (service.read_steps, openweathermap.forecast("Cobh")),
    ):
        try:
            found = read(json.dumps(replace_values(content, name, wrong)))
        except service.ServiceError:
            continue
        if isinstance(found, list):
            service.days(found, ZoneInfo("UTC"), date(2020, 1, 1))
        else:
            assert -90 <= found.temperature <= 60


@given(st.text() | JSON.map(json.dumps))
def test_invalid_text_raises_service_error(text: str) -> None:
    for read in (service.read_current, service.read_steps):
        with pytest.raises(service.ServiceError):
            read(text)


def test_deep_json_raises_service_error() -> None:
    with pytest.raises(service.ServiceError):
        service.read_current("[" * 50_000)


def step(at: str, low: float, high: float, number: int = 800, **more: Any) -> dict[str, Any]:
    return {
        "dt": int(datetime.fromisoformat(at).timestamp()),
        "main": {"temp": (low + high) / 2, "temp_min": low, "temp_max": high},
        "weather": [{"id": number, "description": f"sky {number}"}],
        **more,
    }


def test_days_end_at_midnight_of_time_zone() -> None:
    content = {
        "list": [
            step("2026-07-02T01:30:00+00:00", 5, 9, 804),
            step("2026-07-01T22:30:00+00:00", 12, 14),
            step("2026-07-01T21:30:00+00:00", 13, 15, 500, pop=0.4, wind={"speed": 3}),
            step("2026-07-01T18:30:00+00:00", 14, 19, 800, pop=0.1, wind={"speed": 9}),
        ]
    }
    steps = service.read_steps(json.dumps(content))
    first, second = service.days(steps, ZoneInfo("Europe/Dublin"), date(2026, 7, 1))
    # 22:30 UTC is 23:30 in Dublin in summer; 01:30 UTC is the next day.
    assert (first.date, first.low, first.high) == (date(2026, 7, 1), 12, 19)
    assert (first.rain, first.wind) == (0.4, 9)
    assert (first.sky.description, first.sky.picture) == ("sky 500", "rain")  # the highest rank
    assert (second.date, second.low, second.rain, second.wind) == (date(2026, 7, 2), 5, None, None)
    tokyo_days = service.days(steps, ZoneInfo("Asia/Tokyo"), date(2026, 7, 2))
    assert [day.date for day in tokyo_days] == [date(2026, 7, 2)]


def test_units_and_compass_format_values() -> None:
    assert Units.METRIC.temperature(-3.6) == "\u22124 °C"
    assert Units.METRIC.temperature(-0.4) == "0 °C"
    assert Units.IMPERIAL.temperature(-40) == "\u221240 °F"
    assert Units.IMPERIAL.temperature(20) == "68 °F"
    assert Units.METRIC.speed(10) == "36 km/h"
    assert Units.IMPERIAL.speed(10) == "22 mph"
    assert [point(degrees) for degrees in (0, 350, 44, 180, 360)] == [
        *("north", "north", "north-east", "south", "north")
    ]


# --- Settings ----------------------------------------------------------------------------------


def test_parse_returns_towns() -> None:
    first, second, third = towns.parse("St. John's; Cobh = Cobh,IE;Ny-Ålesund=78.92, 11.93;")
    assert first == Town("St. John's", "st-john-s", (("q", "St. John's"),))
    assert second == Town("Cobh", "cobh", (("q", "Cobh,IE"),))
    assert third == Town("Ny-Ålesund", "ny-alesund", (("lat", "78.92"), ("lon", "11.93")))


@pytest.mark.parametrize(
    "setting",
    [";", "Cobh;cobh", "Cobh=91,0", "Cobh=0,181", "欢迎", "x" * 61, ";".join(map(str, range(13)))],
)
def test_parse_rejects_invalid_towns(setting: str) -> None:
    with pytest.raises(config.ConfigurationError, match="HARBOUR_WEATHER_TOWNS"):
        towns.parse(setting)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HARBOUR_TIMEZONE", "Mars/Olympus"),
        ("HARBOUR_TIMEZONE", "../../etc/passwd"),
        ("HARBOUR_URL", "homes.example.com"),
        ("HARBOUR_URL", "ftp://homes.example.com"),
        ("HARBOUR_URL", "https://homes.example.com/?a=b"),
        ("HARBOUR_URL", "https://homes.example.com/ a"),
        ("HARBOUR_WEATHER_URL", "https://:x"),
        ("HARBOUR_WEATHER_TOWNS", ";"),
    ],
)
def test_invalid_setting_is_rejected(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(config.ConfigurationError, match=name):
        create_app({"DATABASE_URL": f"sqlite:///{tmp_path}/x.db", "SECRET_KEY": "test", name: value})


def test_time_zone_defaults_to_utc(tmp_path: Path) -> None:
    assert config.load(tmp_path, {})["HARBOUR_TIMEZONE"] is timezone.utc
    zone = config.load(tmp_path, {"HARBOUR_TIMEZONE": "America/St_Johns"})["HARBOUR_TIMEZONE"]
    assert zone == ZoneInfo("America/St_Johns")


def test_default_town_is_harbour_town(fresh_app: Callable[..., Flask]) -> None:
    app = fresh_app(HARBOUR_TOWN="St. John's")
    with app.app_context():
        assert [town.name for town in towns.all_towns()] == ["St. John's"]
    dispose(app)


def test_local_time_is_in_time_zone_of_site(site: Flask) -> None:
    with site.app_context():
        moment = datetime(2026, 7, 1, 23, 30, tzinfo=timezone.utc)
        assert reports.local(moment).isoformat() == "2026-07-02T00:30:00+01:00"
        assert abs(reports.local() - now().replace(tzinfo=timezone.utc)) < timedelta(seconds=5)
