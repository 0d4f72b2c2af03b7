"""The weather: what the service answers, what is kept of it, and the page."""

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
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from postoffice import certified
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
KEY = "not-to-be-told"

Fake = tuple[OpenWeatherMap, str]


@pytest.fixture
def fake() -> Iterator[Fake]:
    """A stand-in for the service, and its address."""
    stand_in = OpenWeatherMap(KEY)
    server = openweathermap.serve(stand_in)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield stand_in, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def site(fake: Fake, fresh_app: Callable[..., Flask], monkeypatch) -> Flask:
    """A portal of two towns, which asks the stand-in and does not wait for it for long."""
    monkeypatch.setattr(service, "PAUSE", 0.01)
    monkeypatch.setattr(service, "TIMEOUT", 0.4)
    monkeypatch.setattr(reports, "PATIENCE", 1.0)
    app = fresh_app(
        OPENWEATHERMAP_KEY=KEY,
        HARBOUR_WEATHER_URL=fake[1] + "/",
        HARBOUR_WEATHER_TOWNS="Cobh; Petty Harbour=47.466,-52.708",
        HARBOUR_TIMEZONE="Europe/Dublin",
    )
    with app.app_context():
        db.create_all()
    return app


def later(app: Flask, **ago: float) -> None:
    """Make what is kept older, as if time had passed, and forget what is cached."""
    gone = timedelta(**ago)
    with app.app_context():
        cache.clear()
        for report in db.session.query(Report):
            for name in ("current_at", "forecast_at", "asked_at"):
                if at := getattr(report, name):
                    setattr(report, name, at - gone)
        db.session.commit()


# --- The page ----------------------------------------------------------------------------------


def test_without_a_key_the_page_says_so(client) -> None:
    answer = client.get("/weather/?town=cobh&units=imperial")
    assert answer.status_code == 200
    assert "There is no weather service behind this page yet" in answer.text
    assert "OPENWEATHERMAP_KEY" in answer.text


def test_the_weather_is_shown(site: Flask) -> None:
    answer = site.test_client().get("/weather/")
    assert answer.status_code == 200
    assert "<h1>The weather in Cobh</h1>" in answer.text
    now_ = openweathermap.current("Cobh")
    assert Units.METRIC.temperature(now_["main"]["temp"]) in answer.text
    assert now_["weather"][0]["description"].capitalize() in answer.text
    assert len(re.findall(r'<th scope="row">', answer.text)) == 5
    assert "does not answer" not in answer.text
    assert "OpenWeather</a>" in answer.text
    assert KEY not in answer.text
    assert answer.headers["Cache-Control"] == "public, max-age=1"
    assert "Set-Cookie" not in answer.headers


def test_the_page_is_whole_strict_and_light(site: Flask) -> None:
    text = site.test_client().get("/weather/").text
    page = Page(text)
    assert page.all("html") == [{"lang": "en"}]
    for once in ("title", "h1", "main", "footer"):
        assert len(page.all(once)) == 1, once
    assert not page.all("script", "style")
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name == "style" or name.startswith("on")], tag
    for picture in page.all("svg"):
        assert picture["aria-hidden"] == "true"
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert len(gzip.compress(text.encode(), 5)) < 8_000


def test_towns_and_units_can_be_chosen(site: Flask) -> None:
    client = site.test_client()
    page = client.get("/weather/?town=petty-harbour&units=imperial").text
    assert "<h1>The weather in Petty Harbour</h1>" in page
    assert "°F" in page
    assert "mph" in page
    assert "km/h</strong>" not in page
    # Each keeps what the other has chosen.
    assert 'href="/weather/?units=imperial">Cobh</a>' in page
    assert 'href="/weather/?town=petty-harbour">°C and km/h</a>' in page
    for strange in ("?town=nowhere&units=kelvin", "?town=" + "x" * 5000, "?town=%00&units=%ff"):
        assert "<h1>The weather in Cobh</h1>" in client.get("/weather/" + strange).text


def test_the_service_is_asked_once_for_all_visitors(site: Flask, fake: Fake) -> None:
    stand_in, _ = fake
    for _ in range(5):
        site.test_client().get("/weather/")
    assert stand_in.asked == {service.CURRENT: 1, service.FORECAST: 1}
    with site.app_context():
        cache.clear()  # as in another worker
    site.test_client().get("/weather/")
    assert stand_in.asked[service.CURRENT] == 1, "expected another worker to find it kept"
    later(site, minutes=11)
    site.test_client().get("/weather/")
    assert stand_in.asked == {service.CURRENT: 2, service.FORECAST: 2}


def test_a_page_takes_few_queries(site: Flask) -> None:
    seen: list[str] = []
    with site.app_context():
        event.listen(db.engine, "before_cursor_execute", lambda *args: seen.append(args[2]))
    counts = []
    for prepare in (lambda: None, lambda: None, lambda: later(site, minutes=11)):
        prepare()
        seen.clear()
        site.test_client().get("/weather/")
        counts.append(len(seen))
    assert counts == [3, 0, 3], "expected: first of all, from the cache, and asked for anew"


# --- The service is down -----------------------------------------------------------------------

BROKEN = ["slow", "drip", "500", "429", "redirect", "cut", "html", "types", "big"]


@pytest.mark.parametrize("fault", BROKEN)
def test_the_last_good_answer_is_shown_with_its_age(site: Flask, fake: Fake, fault: str) -> None:
    stand_in, _ = fake
    site.test_client().get("/weather/")
    later(site, hours=3)
    stand_in.fault = fault
    begun = time.monotonic()
    answer = site.test_client().get("/weather/")
    took = time.monotonic() - begun
    assert answer.status_code == 200
    assert "does not answer at the moment" in answer.text
    assert "3 hours ago" in answer.text
    assert len(re.findall(r'<th scope="row">', answer.text)) >= 4
    assert took < 1.8, f"expected a page within the second that it waits, it took {took:.1f}"
    # Nobody waits again for a minute, in no worker.
    asked = stand_in.asked.total()
    with site.app_context():
        cache.clear()
    site.test_client().get("/weather/")
    assert stand_in.asked.total() == asked
    # Then it is asked again, and all is well.
    stand_in.fault = "none"
    later(site, minutes=2)
    assert "does not answer" not in site.test_client().get("/weather/").text


@pytest.mark.parametrize("fault", BROKEN)
def test_without_any_answer_the_page_says_so(site: Flask, fake: Fake, fault: str) -> None:
    fake[0].fault = fault
    answer = site.test_client().get("/weather/")
    assert answer.status_code == 200
    assert "has not said yet" in answer.text
    assert "There is no forecast" in answer.text


@pytest.mark.parametrize("host", ["127.0.0.1:1", "no..such", "nowhere.invalid"])
def test_a_service_that_is_away_stops_no_page(site: Flask, host: str) -> None:
    site.config["HARBOUR_WEATHER_URL"] = f"http://{host}"
    assert "has not said yet" in site.test_client().get("/weather/").text


def test_headers_without_end_are_not_waited_for(site: Flask) -> None:
    """A little comes all the time, and the answer never."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            with suppress(OSError):
                while True:
                    connected, _ = server.accept()
                    with connected, suppress(OSError):
                        connected.sendall(b"HTTP/1.1 200 OK\r\n")
                        for _ in range(60):
                            time.sleep(0.1)
                            connected.sendall(b"X: y\r\n")

        threading.Thread(target=drip, daemon=True).start()
        site.config["HARBOUR_WEATHER_URL"] = f"http://127.0.0.1:{server.getsockname()[1]}"
        begun = time.monotonic()
        assert "has not said yet" in site.test_client().get("/weather/").text
        took = time.monotonic() - begun
        server.shutdown(socket.SHUT_RDWR)
    assert took < 3, f"expected it to give up, it took {took:.1f} s"


@pytest.mark.parametrize("trusted", [True, False])
def test_it_is_asked_over_https(site: Flask, tmp_path: Path, monkeypatch, trusted: bool) -> None:
    certificate, context = certified(tmp_path)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    stand_in = OpenWeatherMap(KEY)
    with openweathermap.serve(stand_in) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        site.config["HARBOUR_WEATHER_URL"] = f"https://127.0.0.1:{server.server_port}"
        page = site.test_client().get("/weather/").text
        server.shutdown()
    assert stand_in.asked.total() == (2 if trusted else 0)
    assert ("has not said yet" in page) is not trusted


def test_a_short_failure_is_tried_again(site: Flask, fake: Fake) -> None:
    fake[0].fault, fake[0].faults = "500", 2
    assert "Now</h2>" in site.test_client().get("/weather/").text
    assert fake[0].asked == {service.CURRENT: 3, service.FORECAST: 1}


@pytest.mark.parametrize(("key", "town"), [("wrong", COBH), (KEY, Town("X", "x", (("q", "Nowhere"),)))])
def test_a_refusal_is_not_tried_again(site: Flask, fake: Fake, key: str, town: Town) -> None:
    site.config["OPENWEATHERMAP_KEY"] = key
    with site.app_context(), pytest.raises(service.ServiceError, match="status 40"):
        service.ask(service.CURRENT, town, time.monotonic() + 5)
    assert fake[0].asked.total() == 1


def test_the_key_goes_to_nobody_else_and_into_no_log(site: Flask, fake: Fake, caplog) -> None:
    for fault in (*BROKEN, "away"):
        fake[0].fault = fault
        if fault == "away":
            site.config["HARBOUR_WEATHER_URL"] = "http://127.0.0.1:1"
        later(site, hours=1)
        site.test_client().get("/weather/")
    assert "weather_not_answered" in caplog.text
    assert KEY not in caplog.text
    assert "/elsewhere" not in fake[0].asked


def test_what_is_partly_wrong_is_used_as_far_as_it_goes(site: Flask, fake: Fake) -> None:
    fake[0].fault = "some"
    page = site.test_client().get("/weather/").text
    assert Units.METRIC.temperature(openweathermap.current("Cobh")["main"]["temp"]) in page
    assert "humidity" in page  # was right
    assert "None" not in page
    assert len(re.findall(r'<th scope="row">', page)) == 5


def test_what_is_kept_and_cannot_be_read_counts_as_none(site: Flask) -> None:
    site.test_client().get("/weather/")
    with site.app_context():
        db.session.execute(update(Report).values(current_json="{", forecast_json="[]"))
        db.session.commit()
        cache.clear()
    assert "has not said yet" in site.test_client().get("/weather/").text


def test_of_several_workers_one_asks(site: Flask, fake: Fake, monkeypatch) -> None:
    """The others do not wait for it either."""
    site.test_client().get("/weather/")
    later(site, hours=2)
    stand_in, _ = fake
    stand_in.asked.clear()
    stand_in.fault, stand_in.slow = "slow", 0.3
    monkeypatch.setattr(service, "TIMEOUT", 5.0)
    took, pages = [], []

    def visit() -> None:
        begun = time.monotonic()
        with site.app_context():
            text = json.dumps(reports.refreshed(towns.find("cobh"), reports.FRESH, 5))
        took.append(time.monotonic() - begun)
        pages.append(text)

    visitors = [threading.Thread(target=visit) for _ in range(6)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    assert stand_in.asked == {service.CURRENT: 1, service.FORECAST: 1}
    assert sum(seconds > 0.5 for seconds in took) == 1, took
    assert len(pages) == 6


# --- By a timer --------------------------------------------------------------------------------


def test_a_timer_fetches_it_before_anybody_waits(site: Flask, fake: Fake) -> None:
    result = site.test_cli_runner().invoke(args=["weather", "fetch"])
    assert (result.exit_code, result.output) == (0, "There is new weather for 2 towns.\n")
    asked = fake[0].asked.total()
    assert asked == 4
    assert "Now</h2>" in site.test_client().get("/weather/?town=petty-harbour").text
    assert fake[0].asked.total() == asked
    fake[0].fault = "500"
    later(site, hours=1)
    result = site.test_cli_runner().invoke(args=["weather", "fetch"])
    assert result.exit_code == 1
    assert "No new weather for Petty Harbour" in result.output


def test_there_is_nothing_to_fetch_without_a_key(runner) -> None:
    result = runner.invoke(args=["weather", "fetch"])
    assert result.exit_code == 1
    assert "OPENWEATHERMAP_KEY is not set" in result.output


# --- Reading -----------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
PLACES = ["dt", "main", "wind", "weather", "list", "pop", "temp", "temp_min", "temp_max", "id"]


def spoil(value: Any, name: str, wrong: Any) -> Any:
    """Return a copy in which whatever has this name is something else."""
    if isinstance(value, dict):
        return {key: wrong if key == name else spoil(inner, name, wrong) for key, inner in value.items()}
    return [spoil(inner, name, wrong) for inner in value] if isinstance(value, list) else value


@given(st.sampled_from([*PLACES, "feels_like", "humidity", "speed", "deg", "description"]), JSON)
def test_no_wrong_type_is_more_than_an_error_of_ours(name: str, wrong: Any) -> None:
    for read, answer in (
        (service.read_current, openweathermap.current("Cobh")),
        (service.read_steps, openweathermap.forecast("Cobh")),
    ):
        try:
            found = read(json.dumps(spoil(answer, name, wrong)))
        except service.ServiceError:
            continue
        if isinstance(found, list):
            service.days(found, ZoneInfo("UTC"), date(2020, 1, 1))
        else:
            assert -90 <= found.temperature <= 60


@given(st.text() | JSON.map(json.dumps))
def test_nothing_that_is_sent_is_more_than_an_error_of_ours(text: str) -> None:
    for read in (service.read_current, service.read_steps):
        with pytest.raises(service.ServiceError):
            read(text)


def test_deep_json_is_an_error_of_ours() -> None:
    with pytest.raises(service.ServiceError):
        service.read_current("[" * 50_000)


def step(at: str, low: float, high: float, number: int = 800, **more: Any) -> dict[str, Any]:
    return {
        "dt": int(datetime.fromisoformat(at).timestamp()),
        "main": {"temp": (low + high) / 2, "temp_min": low, "temp_max": high},
        "weather": [{"id": number, "description": f"sky {number}"}],
        **more,
    }


def test_days_end_at_the_towns_midnight() -> None:
    answer = {
        "list": [
            step("2026-07-02T01:30:00+00:00", 5, 9, 804),
            step("2026-07-01T22:30:00+00:00", 12, 14),
            step("2026-07-01T21:30:00+00:00", 13, 15, 500, pop=0.4, wind={"speed": 3}),
            step("2026-07-01T18:30:00+00:00", 14, 19, 800, pop=0.1, wind={"speed": 9}),
        ]
    }
    steps = service.read_steps(json.dumps(answer))
    first, second = service.days(steps, ZoneInfo("Europe/Dublin"), date(2026, 7, 1))
    # 22:30 in UTC is 23:30 in Dublin, in summer; 01:30 is the next day there.
    assert (first.date, first.low, first.high) == (date(2026, 7, 1), 12, 19)
    assert (first.rain, first.wind) == (0.4, 9)
    assert (first.sky.words, first.sky.picture) == ("sky 500", "rain")  # what matters most
    assert (second.date, second.low, second.rain, second.wind) == (date(2026, 7, 2), 5, None, None)
    there = service.days(steps, ZoneInfo("Asia/Tokyo"), date(2026, 7, 2))
    assert [day.date for day in there] == [date(2026, 7, 2)]


def test_writing() -> None:
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


def test_towns_are_read() -> None:
    first, second, third = towns.parse("St. John's; Cobh = Cobh,IE;Ny-Ålesund=78.92, 11.93;")
    assert first == Town("St. John's", "st-john-s", (("q", "St. John's"),))
    assert second == Town("Cobh", "cobh", (("q", "Cobh,IE"),))
    assert third == Town("Ny-Ålesund", "ny-alesund", (("lat", "78.92"), ("lon", "11.93")))


@pytest.mark.parametrize(
    "setting",
    [";", "Cobh;cobh", "Cobh=91,0", "Cobh=0,181", "欢迎", "x" * 61, ";".join(map(str, range(13)))],
)
def test_towns_that_cannot_be_are_refused(setting: str) -> None:
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
def test_settings_that_cannot_be_used_are_refused(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(config.ConfigurationError, match=name):
        create_app({"DATABASE_URL": f"sqlite:///{tmp_path}/x.db", "SECRET_KEY": "test", name: value})


def test_utc_takes_no_package_of_zones(tmp_path: Path) -> None:
    assert config.load(tmp_path, {})["HARBOUR_TIMEZONE"] is timezone.utc
    there = config.load(tmp_path, {"HARBOUR_TIMEZONE": "America/St_Johns"})["HARBOUR_TIMEZONE"]
    assert there == ZoneInfo("America/St_Johns")


def test_the_first_town_is_the_sites_own(fresh_app: Callable[..., Flask]) -> None:
    app = fresh_app(HARBOUR_TOWN="St. John's")
    with app.app_context():
        assert [town.name for town in towns.every()] == ["St. John's"]
    dispose(app)


def test_times_are_those_of_the_site(site: Flask) -> None:
    with site.app_context():
        moment = datetime(2026, 7, 1, 23, 30, tzinfo=timezone.utc)
        assert reports.local(moment).isoformat() == "2026-07-02T00:30:00+01:00"
        assert abs(reports.local() - now().replace(tzinfo=timezone.utc)) < timedelta(seconds=5)
