"""`flask acs fetch`, with a stub of the Census API."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_census import EARLY, LATE, FakeCensus, lines, run_census, value
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy import select

from harbour.extensions import db
from harbour.neighbourhoods import census
from harbour.neighbourhoods.census import find
from harbour.neighbourhoods.measures import MEASURES
from harbour.neighbourhoods.models import FetchedYear, Figure

FETCHED = {key for key, measure in MEASURES.items() if measure.section}


@pytest.fixture
def fake(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCensus]:
    monkeypatch.setattr(census, "PAUSE", 0.01)
    monkeypatch.setattr(census, "TIMEOUT", 0.3)
    monkeypatch.setattr(census, "DEADLINE", 2)
    with run_census() as service:
        monkeypatch.setitem(app.config, "HARBOUR_CENSUS_URL", service.url)
        monkeypatch.setitem(app.config, "CENSUS_API_KEY", "secret-key")
        yield service


def fetch(runner: FlaskCliRunner, years: str, *more: str) -> tuple[int, str]:
    result = runner.invoke(args=["acs", "fetch", "--years", years, *more])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def stored_figures(app: Flask) -> dict[tuple[str, int, str], tuple[float, float | None]]:
    with app.app_context():
        figures = db.session.scalars(select(Figure))
        return {(one.measure, one.year, one.fips): (one.estimate, one.moe) for one in figures}


def fetched_years(app: Flask) -> list[int]:
    with app.app_context():
        return list(db.session.scalars(select(FetchedYear.year).order_by(FetchedYear.year)))


# --- Variables by their labels -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "early", "late"),
    [
        ("median_home_value", "DP04_0088E", "DP04_0089E"),
        ("median_gross_rent", "DP04_0132E", "DP04_0134E"),
        ("median_household_income", "DP03_0062E", "DP03_0062E"),
        ("poverty_pct", "DP03_0128PE", "DP03_0128PE"),
        ("owner_occupied_pct", "DP04_0045PE", "DP04_0046PE"),
        ("bachelors_pct", "DP02_0067PE", "DP02_0068PE"),
        ("hs_pct", "DP02_0066PE", "DP02_0067PE"),
        ("population", "DP05_0001E", "DP05_0001E"),
        ("median_age", "DP05_0017E", "DP05_0018E"),
        ("white_pct", "DP05_0032PE", "DP05_0037PE"),
        ("black_pct", "DP05_0033PE", "DP05_0038PE"),
        ("hispanic_pct", "DP05_0066PE", "DP05_0071PE"),
    ],
)
def test_find_variable_with_changed_number(key: str, early: str, late: str) -> None:
    for year, expected in ((2010, early), (2016, late), (2023, late)):
        labels = {
            f"{name}{end}": f"{kind}!!{label}"
            for name, label in lines(year).items()
            for end, kind in (("E", "Estimate"), ("PE", "Percent"), ("M", "Margin of Error"))
        }
        assert find(MEASURES[key], labels) == expected, year


def test_stub_has_all_variables_with_changed_numbers() -> None:
    assert len(FETCHED) == 12
    assert not set(EARLY) & {"DP04_0089"}
    assert not set(LATE) & {"DP04_0088"}, "expected the stub to change the numbers as published"


def test_find_ambiguous_variable_returns_none() -> None:
    labels = {f"DP04_00{n}E": "Estimate!!VALUE!!Median (dollars)" for n in (88, 89)}
    assert find(MEASURES["median_home_value"], labels) is None


# --- Successful fetches ------------------------------------------------------------------------


def test_fetch_stores_figures_of_all_years(app: Flask, runner: FlaskCliRunner, fake: FakeCensus) -> None:
    code, output = fetch(runner, "2013-2016")
    assert code == 0, output
    assert re.findall(r"\[(\d)/4\] (\d{4}): ([\d,]+) figures of (\d+) areas", output) == [
        (str(n), str(year), "624", "52") for n, year in enumerate(range(2013, 2017), 1)
    ]
    figures = stored_figures(app)
    assert {measure for measure, _, _ in figures} == FETCHED
    for year, name in ((2014, "DP04_0088"), (2015, "DP04_0089")):
        expected = float(value(f"{name}E", "06", year)), 1.5
        assert figures["median_home_value", year, "06"] == expected
    assert figures["population", 2013, "72"][1] is None, "expected no margin for -555555555"
    assert len(fake.requests) == 4 * 5, "expected four groups and one table per year"


def test_fetch_ignores_jam_values(app: Flask, runner: FlaskCliRunner, fake: FakeCensus) -> None:
    fake.changes = {
        ("DP04_0089E", "06"): "-666666666",
        ("DP04_0089E", "36"): None,
        ("DP04_0089M", "48"): "-222222222",
    }
    assert fetch(runner, "2016")[0] == 0
    figures = stored_figures(app)
    assert ("median_home_value", 2016, "06") not in figures
    assert ("median_home_value", 2016, "36") not in figures
    assert figures["median_home_value", 2016, "48"][1] is None


def test_fetch_skips_2020_and_reports_reason(app: Flask, runner: FlaskCliRunner, fake: FakeCensus) -> None:
    code, output = fetch(runner, "2019-2021")
    assert code == 0
    assert "2020: skipped. The Census Bureau published no one-year estimates" in output
    assert fetched_years(app) == [2019, 2021]
    assert {year for _, year, _ in stored_figures(app)} == {2019, 2021}
    assert not [path for path in fake.requests if path.startswith("/2020")]
    page = app.test_client().get("/neighbourhoods/over-time?measure=median_age&area=06").text
    assert "There is no 2020." in page
    assert "not published" in page
    assert "<polyline" not in page, "expected no line from 2019 to 2021"


@pytest.mark.usefixtures("fake")
def test_fetch_reports_year_that_is_not_published(app: Flask, runner: FlaskCliRunner) -> None:
    code, output = fetch(runner, "2024-2025")
    assert code == 0
    assert "2025: not published (yet)" in output
    assert fetched_years(app) == [2024]
    assert fetch(runner, "2031")[0] == 1, "expected a failure if no year is available"


def test_fetch_skips_fetched_years(app: Flask, runner: FlaskCliRunner, fake: FakeCensus) -> None:
    fetch(runner, "2015-2016")
    before, requests = stored_figures(app), len(fake.requests)
    code, output = fetch(runner, "2015-2016")
    assert code == 0
    assert output.count("already fetched") == 2
    assert len(fake.requests) == requests
    fake.changes = {("DP04_0089E", "06"): "7"}
    assert fetch(runner, "2015", "--again")[0] == 0
    after = stored_figures(app)
    assert after.keys() == before.keys()
    assert after["median_home_value", 2015, "06"][0] == 7


def test_fetch_reports_measure_without_label(app: Flask, runner: FlaskCliRunner, fake: FakeCensus) -> None:
    fake.faults = {"groups/DP04": [{"variables": {}}]}
    code, output = fetch(runner, "2016")
    assert code == 0
    assert "median_home_value: no variable of 2016 has its label" in output
    assert {measure for measure, _, _ in stored_figures(app)} == FETCHED - {
        *("median_home_value", "median_gross_rent", "owner_occupied_pct")
    }


# --- Faults ------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["500", "slow", "truncated", "page", "reset"])
@pytest.mark.parametrize("path", ["groups/DP03", "profile$"])
def test_fetch_retries_transient_fault(
    app: Flask, runner: FlaskCliRunner, fake: FakeCensus, fault: str, path: str
) -> None:
    fake.faults = {path: [fault, fault]}
    code, output = fetch(runner, "2016")
    assert code == 0, output
    assert output.count("retrying") == 2
    assert len(stored_figures(app)) == 624


@pytest.mark.parametrize("fault", ["500", "slow", "truncated", "page", "reset"])
def test_fetch_after_permanent_fault_continues_at_failed_year(
    app: Flask, runner: FlaskCliRunner, fake: FakeCensus, fault: str
) -> None:
    fake.faults = {"2016/acs/acs1/profile/groups/DP05": [fault] * 4}
    code, output = fetch(runner, "2015-2017")
    assert code == 1
    assert "[2/3] 2016:" in output
    assert "4 attempts" in output
    assert "secret-key" not in output, "expected no key in messages"
    assert fetched_years(app) == [2015]
    assert {year for _, year, _ in stored_figures(app)} == {2015}, "expected no figures of an incomplete year"

    fake.requests.clear()
    code, output = fetch(runner, "2015-2017")
    assert code == 0, output
    assert fetched_years(app) == [2015, 2016, 2017]
    assert not [path for path in fake.requests if path.startswith("/2015")]
    assert all("key=secret-key" in path for path in fake.requests)


def test_fetch_after_kill_continues_at_interrupted_year(
    fresh_app: Callable[..., Flask], fake: FakeCensus, tmp_path: Path
) -> None:
    app = fresh_app(HARBOUR_CENSUS_URL=fake.url)
    with app.app_context():
        db.create_all()
    fake.faults = {"2016/acs/acs1/profile$": ["slow"]}
    settings = {"DATABASE_URL": f"sqlite:///{tmp_path / 'fresh.db'}", "SECRET_KEY": "test"}
    run = subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", "wsgi", "acs", "fetch", "--years", "2015-2017"],
        env={**os.environ, **settings, "HARBOUR_CENSUS_URL": fake.url},
        cwd=Path(__file__).parent.parent,
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 30
    while not any(path.startswith("/2016/acs/acs1/profile?") for path in fake.requests):
        assert time.monotonic() < deadline, fake.requests
        time.sleep(0.02)
    run.kill()
    run.wait()
    assert fetched_years(app) == [2015]
    assert {year for _, year, _ in stored_figures(app)} == {2015}, "expected no figures of an incomplete year"
    fake.requests.clear()
    code, output = fetch(app.test_cli_runner(), "2015-2017")
    assert code == 0, output
    assert fetched_years(app) == [2015, 2016, 2017]
    assert not [path for path in fake.requests if path.startswith("/2015")]


def test_fetch_limits_time_and_size_of_response(
    app: Flask, runner: FlaskCliRunner, fake: FakeCensus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(census, "DEADLINE", 0.4)
    fake.faults = {"groups/DP04": ["drip"]}
    code, output = fetch(runner, "2016")
    assert code == 0, output
    assert "the response was not complete in time; retrying" in output
    monkeypatch.setattr(census, "MAX_BYTES", 1000)
    code, output = fetch(runner, "2017")
    assert code == 1
    assert "more than 1,000 bytes" in output
    assert {year for _, year, _ in stored_figures(app)} == {2016}


def table(**changes: object) -> object:
    """Return a complete table of 2016 in which the given cells are replaced."""
    service = FakeCensus()
    names = [f"{n}{end}" for n in LATE for end in ("E", "M", "PE", "PM")]
    response = service.response("/2016/acs/acs1/profile", {"get": [",".join(names)], "for": ["state:*"]})
    for name, cell in changes.items():
        response[3][response[0].index(name)] = cell
    return response


@pytest.mark.parametrize(
    ("invalid", "expected"),
    [
        ({"error": "no"}, "expected a list of rows"),
        ([], "expected a list of rows"),
        ([["NAME", "state"], "text"], "expected a list of rows"),
        ([["NAME", "state"], ["Ohio", "39"]], "column DP04_0089E is missing"),
        (table()[:20], "found 19 areas, expected at least 51"),
        ([*table(), table()[5]], "expected each state once"),
        ([*table(), ["short"]], "found 1 cells in a row"),
        (table(DP04_0089E={"a": 1}), "DP04_0089E of state"),
        (table(DP04_0089E=True), "DP04_0089E of state"),
        (table(DP04_0089E="-5"), "expected zero or more"),
        (table(DP04_0046PE="250"), "expected a percentage"),
        (table(DP04_0046PM="N"), "DP04_0046PM of state"),
        (table(state=1), "expected each state once"),
    ],
)
def test_fetch_rejects_invalid_table(
    app: Flask, runner: FlaskCliRunner, fake: FakeCensus, invalid: object, expected: str
) -> None:
    fake.faults = {"profile$": [invalid]}
    code, output = fetch(runner, "2016")
    assert code == 1
    assert expected in output
    assert stored_figures(app) == {}


@pytest.mark.parametrize(
    "invalid",
    [[], 7, "null", {"variables": []}, {"variables": {"X": 1}}, {"variables": {"X": {"label": 1}}}],
)
def test_fetch_rejects_invalid_variables(
    app: Flask, runner: FlaskCliRunner, fake: FakeCensus, invalid: object
) -> None:
    fake.faults = {"groups/DP02": [invalid]}
    code, output = fetch(runner, "2016")
    assert code == 1
    assert "expected" in output
    assert stored_figures(app) == {}


@pytest.mark.usefixtures("fake")
def test_fetch_from_unreachable_service_fails(app: Flask, runner: FlaskCliRunner) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        app.config["HARBOUR_CENSUS_URL"] = f"http://127.0.0.1:{closed.getsockname()[1]}"
    code, output = fetch(runner, "2016")
    assert code == 1
    assert "connection failed" in output


@pytest.mark.parametrize("years", ["2024-2010", "10-20", "2010-", "twenty", "1066"])
def test_fetch_rejects_invalid_years(runner: FlaskCliRunner, years: str) -> None:
    code, output = fetch(runner, years)
    assert code == 2
    assert "expected years such as 2010-2024" in output
