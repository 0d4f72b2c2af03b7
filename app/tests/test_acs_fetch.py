"""Figures from the Census API, which is a small real server here."""

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
from fake_census import EARLY, LATE, FakeCensus, lines, running, value
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
    with running() as service:
        monkeypatch.setitem(app.config, "HARBOUR_CENSUS_URL", service.url)
        monkeypatch.setitem(app.config, "CENSUS_API_KEY", "secret-key")
        yield service


def fetch(runner: FlaskCliRunner, years: str, *more: str) -> tuple[int, str]:
    result = runner.invoke(args=["acs", "fetch", "--years", years, *more])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def kept(app: Flask) -> dict[tuple[str, int, str], tuple[float, float | None]]:
    with app.app_context():
        found = db.session.scalars(select(Figure))
        return {(one.measure, one.year, one.fips): (one.estimate, one.moe) for one in found}


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
def test_variables_are_found_where_they_moved_to(key: str, early: str, late: str) -> None:
    for year, expected in ((2010, early), (2016, late), (2023, late)):
        labels = {
            f"{name}{end}": f"{kind}!!{label}"
            for name, label in lines(year).items()
            for end, kind in (("E", "Estimate"), ("PE", "Percent"), ("M", "Margin of Error"))
        }
        assert find(MEASURES[key], labels) == expected, year


def test_the_table_of_variables_is_whole() -> None:
    assert len(FETCHED) == 12
    assert not set(EARLY) & {"DP04_0089"}
    assert not set(LATE) & {"DP04_0088"}, "expected the fake to move what moved"


def test_two_lines_that_cannot_be_told_apart_are_not_guessed() -> None:
    labels = {f"DP04_00{n}E": "Estimate!!VALUE!!Median (dollars)" for n in (88, 89)}
    assert find(MEASURES["median_home_value"], labels) is None


# --- All goes well -----------------------------------------------------------------------------


def test_years_are_fetched(app: Flask, runner: FlaskCliRunner, fake: FakeCensus) -> None:
    code, said = fetch(runner, "2013-2016")
    assert code == 0, said
    assert re.findall(r"\[(\d)/4\] (\d{4}): ([\d,]+) figures of (\d+) areas", said) == [
        (str(n), str(year), "624", "52") for n, year in enumerate(range(2013, 2017), 1)
    ]
    figures = kept(app)
    assert {measure for measure, _, _ in figures} == FETCHED
    for year, name in ((2014, "DP04_0088"), (2015, "DP04_0089")):
        expected = float(value(f"{name}E", "06", year)), 1.5
        assert figures["median_home_value", year, "06"] == expected
    assert figures["population", 2013, "72"][1] is None, "expected -555555555 to be no margin"
    assert len(fake.asked) == 4 * 5, "expected four groups and one table a year"


def test_jam_values_are_missing(app: Flask, runner: FlaskCliRunner, fake: FakeCensus) -> None:
    fake.changes = {
        ("DP04_0089E", "06"): "-666666666",
        ("DP04_0089E", "36"): None,
        ("DP04_0089M", "48"): "-222222222",
    }
    assert fetch(runner, "2016")[0] == 0
    figures = kept(app)
    assert ("median_home_value", 2016, "06") not in figures
    assert ("median_home_value", 2016, "36") not in figures
    assert figures["median_home_value", 2016, "48"][1] is None


def test_2020_is_explained_and_left_out(app: Flask, runner: FlaskCliRunner, fake: FakeCensus) -> None:
    code, said = fetch(runner, "2019-2021")
    assert code == 0
    assert "2020: passed over. The Census Bureau published no one-year estimates" in said
    assert fetched_years(app) == [2019, 2021]
    assert {year for _, year, _ in kept(app)} == {2019, 2021}
    assert not [path for path in fake.asked if path.startswith("/2020")]
    page = app.test_client().get("/neighbourhoods/over-time?measure=median_age&area=06").text
    assert "There is no 2020." in page
    assert "not published" in page
    assert "<polyline" not in page, "expected nothing drawn from 2019 to 2021"


@pytest.mark.usefixtures("fake")
def test_a_year_to_come_is_no_failure(app: Flask, runner: FlaskCliRunner) -> None:
    code, said = fetch(runner, "2024-2025")
    assert code == 0
    assert "2025: not published, or not yet" in said
    assert fetched_years(app) == [2024]
    assert fetch(runner, "2031")[0] == 1, "expected a failure where there is nothing at all"


def test_what_is_here_is_not_fetched_twice(app: Flask, runner: FlaskCliRunner, fake: FakeCensus) -> None:
    fetch(runner, "2015-2016")
    before, asked = kept(app), len(fake.asked)
    code, said = fetch(runner, "2015-2016")
    assert code == 0
    assert said.count("here already") == 2
    assert len(fake.asked) == asked
    fake.changes = {("DP04_0089E", "06"): "7"}
    assert fetch(runner, "2015", "--again")[0] == 0
    after = kept(app)
    assert after.keys() == before.keys()
    assert after["median_home_value", 2015, "06"][0] == 7


def test_a_measure_whose_label_is_gone_is_said(app: Flask, runner: FlaskCliRunner, fake: FakeCensus) -> None:
    fake.faults = {"groups/DP04": [{"variables": {}}]}
    code, said = fetch(runner, "2016")
    assert code == 0
    assert "no variable of 2016 has the label of median_home_value" in said
    assert {measure for measure, _, _ in kept(app)} == FETCHED - {
        *("median_home_value", "median_gross_rent", "owner_occupied_pct")
    }


# --- Faults ------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["500", "slow", "truncated", "page", "reset"])
@pytest.mark.parametrize("where", ["groups/DP03", "profile$"])
def test_what_passes_is_tried_again(
    app: Flask, runner: FlaskCliRunner, fake: FakeCensus, fault: str, where: str
) -> None:
    fake.faults = {where: [fault, fault]}
    code, said = fetch(runner, "2016")
    assert code == 0, said
    assert said.count("trying again") == 2
    assert len(kept(app)) == 624


@pytest.mark.parametrize("fault", ["500", "slow", "truncated", "page", "reset"])
def test_what_stays_ends_the_run_and_the_next_goes_on(
    app: Flask, runner: FlaskCliRunner, fake: FakeCensus, fault: str
) -> None:
    fake.faults = {"2016/acs/acs1/profile/groups/DP05": [fault] * 4}
    code, said = fetch(runner, "2015-2017")
    assert code == 1
    assert "[2/3] 2016:" in said
    assert "4 times" in said
    assert "secret-key" not in said, "expected no message with the key"
    assert fetched_years(app) == [2015]
    assert {year for _, year, _ in kept(app)} == {2015}, "expected nothing of a half year"

    fake.asked.clear()
    code, said = fetch(runner, "2015-2017")
    assert code == 0, said
    assert fetched_years(app) == [2015, 2016, 2017]
    assert not [path for path in fake.asked if path.startswith("/2015")]
    assert all("key=secret-key" in path for path in fake.asked)


def test_a_run_that_is_killed_goes_on_where_it_was(
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
    until = time.monotonic() + 30
    while not any(path.startswith("/2016/acs/acs1/profile?") for path in fake.asked):
        assert time.monotonic() < until, fake.asked
        time.sleep(0.02)
    run.kill()
    run.wait()
    assert fetched_years(app) == [2015]
    assert {year for _, year, _ in kept(app)} == {2015}, "expected nothing of a half year"
    fake.asked.clear()
    code, said = fetch(app.test_cli_runner(), "2015-2017")
    assert code == 0, said
    assert fetched_years(app) == [2015, 2016, 2017]
    assert not [path for path in fake.asked if path.startswith("/2015")]


def test_an_answer_that_does_not_end_is_given_up(
    app: Flask, runner: FlaskCliRunner, fake: FakeCensus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(census, "DEADLINE", 0.4)
    fake.faults = {"groups/DP04": ["drip"]}
    code, said = fetch(runner, "2016")
    assert code == 0, said
    assert "the answer did not end; trying again" in said
    monkeypatch.setattr(census, "LARGEST", 1000)
    code, said = fetch(runner, "2017")
    assert code == 1
    assert "more than 1,000 bytes" in said
    assert {year for _, year, _ in kept(app)} == {2016}


def table(**changes: object) -> object:
    """Return a whole table of 2016 with something else in it."""
    service = FakeCensus()
    names = [f"{n}{end}" for n in LATE for end in ("E", "M", "PE", "PM")]
    answer = service.answer("/2016/acs/acs1/profile", {"get": [",".join(names)], "for": ["state:*"]})
    for name, cell in changes.items():
        answer[3][answer[0].index(name)] = cell
    return answer


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"error": "no"}, "expected a list of rows"),
        ([], "expected a list of rows"),
        ([["NAME", "state"], "text"], "expected a list of rows"),
        ([["NAME", "state"], ["Ohio", "39"]], "expected a column"),
        (table()[:20], "expected 51 areas at least, got 19"),
        ([*table(), table()[5]], "expected each state once"),
        ([*table(), ["short"]], "cells in a row, got 1"),
        (table(DP04_0089E={"a": 1}), "DP04_0089E of state"),
        (table(DP04_0089E=True), "DP04_0089E of state"),
        (table(DP04_0089E="-5"), "below zero"),
        (table(DP04_0046PE="250"), "expected a percentage"),
        (table(DP04_0046PM="N"), "DP04_0046PM of state"),
        (table(state=1), "expected each state once"),
    ],
)
def test_wrong_types_are_refused(
    app: Flask, runner: FlaskCliRunner, fake: FakeCensus, wrong: object, expected: str
) -> None:
    fake.faults = {"profile$": [wrong]}
    code, said = fetch(runner, "2016")
    assert code == 1
    assert expected in said
    assert kept(app) == {}


@pytest.mark.parametrize(
    "wrong",
    [[], 7, "null", {"variables": []}, {"variables": {"X": 1}}, {"variables": {"X": {"label": 1}}}],
)
def test_wrong_variables_are_refused(
    app: Flask, runner: FlaskCliRunner, fake: FakeCensus, wrong: object
) -> None:
    fake.faults = {"groups/DP02": [wrong]}
    code, said = fetch(runner, "2016")
    assert code == 1
    assert "expected" in said
    assert kept(app) == {}


@pytest.mark.usefixtures("fake")
def test_a_service_that_is_away(app: Flask, runner: FlaskCliRunner) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        app.config["HARBOUR_CENSUS_URL"] = f"http://127.0.0.1:{closed.getsockname()[1]}"
    code, said = fetch(runner, "2016")
    assert code == 1
    assert "not reached" in said


@pytest.mark.parametrize("years", ["2024-2010", "10-20", "2010-", "twenty", "1066"])
def test_years_that_are_none(runner: FlaskCliRunner, years: str) -> None:
    code, said = fetch(runner, years)
    assert code == 2
    assert "expected years such as 2010-2024" in said
