"""Figures from files."""

from __future__ import annotations

import io
import random
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from harbour.extensions import db
from harbour.neighbourhoods.analysis import Estimate
from harbour.neighbourhoods.files import FileError, read, write
from harbour.neighbourhoods.measures import MEASURES, SOURCES, areas
from harbour.neighbourhoods.models import Figure
from harbour.neighbourhoods.store import Series, available, load, shipped

# Its columns are those of a panel as it is handed about: estimates alone, floats, jam values.
PANEL = """fips,state,year,median_home_value,median_household_income,bachelors_pct,population
01,Alabama,2007,115600.0,40554.0,888888888.0,4627851.0
06,California,2007,532300.0,59948.0,29.5,36553215.0
72,Puerto Rico,2007,,17741.0,,
06,California,2008,467000.0,61021.0,29.6,-666666666
"""


@pytest.fixture
def panel(tmp_path: Path) -> Path:
    path = tmp_path / "panel.csv"
    path.write_text(PANEL)
    return path


def bring_in(runner: FlaskCliRunner, path: Path) -> tuple[int, str]:
    result = runner.invoke(args=["acs", "import", str(path)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def kept(app: Flask) -> set[tuple[object, ...]]:
    with app.app_context():
        rows = db.session.scalars(select(Figure))
        return {(one.measure, one.year, one.fips, one.estimate, one.moe) for one in rows}


def test_a_panel_is_imported_once_or_twice_alike(app: Flask, runner: FlaskCliRunner, panel: Path) -> None:
    code, said = bring_in(runner, panel)
    assert code == 0, said
    assert "Imported 11 figures of 4 measures, 2007 to 2008; 5 are missing" in said
    first = kept(app)
    assert ("median_home_value", 2007, "06", 532300.0, None) in first
    assert not [row for row in first if row[3] in {888888888.0, -666666666.0}]
    assert bring_in(runner, panel) == (code, said)
    assert kept(app) == first, "expected a second import to change nothing"


def test_a_file_takes_the_place_of_what_it_names_alone(
    app: Flask, runner: FlaskCliRunner, panel: Path, tmp_path: Path
) -> None:
    bring_in(runner, panel)
    before = kept(app)
    newer = tmp_path / "newer.csv"
    newer.write_bytes(
        "\ufefffips,year,median_home_value,median_home_value_moe,bachelors_pct\r\n"
        "6,2007,470000,1500.5,\r\n".encode()
    )
    assert bring_in(runner, newer)[0] == 0
    gone = {
        ("median_home_value", 2007, "06", 532300.0, None),
        ("bachelors_pct", 2007, "06", 29.5, None),
    }
    assert kept(app) == before - gone | {("median_home_value", 2007, "06", 470000.0, 1500.5)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fips,year,median_age\n06,2010,old\n", "row 2, column median_age: expected a number, got"),
        ("fips,year,median_age\n06,2010,37\n99,2010,3\n", "row 3, column fips: expected a state's"),
        ("fips,year,median_age\n06,10,37\n", "row 2, column year: expected a year from 2000"),
        ("fips,year,median_age\n06,2010,37\n6,2010,38\n", "row 3, column fips: this area and year"),
        ("fips,year,median_age\n06,2010\n", "row 2: expected 3 cells, got 2"),
        (
            "fips,year,state,median_age\n06,2010,Ohio,3\n",
            "column state: 06 is California, got 'Ohio'",
        ),
        ("fips,year,median_age\n06,2010,-3\n", "column median_age: expected no number below zero"),
        ("fips,year,hs_pct\n06,2010,101\n", "column hs_pct: expected a percentage"),
        ("fips,year,hs_pct,hs_pct_moe\n06,2010,80,x\n", "column hs_pct_moe: expected a number"),
        ("fips,year,median_age\n06,2020,37\n", "there are no one-year estimates of 2020"),
        ("fips,year,height\n06,2010,3\n", "column 'height' is not known"),
        ("fips,median_age\n06,37\n", "column 'year' is missing"),
        ("fips,year,median_age,median_age\n06,2010,3,4\n", "column 'median_age' is there twice"),
        ("fips,year,hs_pct_moe\n06,2010,3\n", "a margin of error without its estimate"),
        ("fips,year,state\n06,2010,California\n", "no column with figures"),
        ("fips,year,median_age\n", "no rows"),
        ("", "column 'fips' is missing"),
        ('fips,year,median_age\n06,2010,"3\n', "not CSV"),
        ("fips,year,median_age\n06,2010,3\xe9\n", "not UTF-8"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_kept(
    app: Flask, runner: FlaskCliRunner, panel: Path, tmp_path: Path, text: str, expected: str
) -> None:
    bring_in(runner, panel)
    before = kept(app)
    path = tmp_path / "wrong.csv"
    path.write_bytes(text.encode("latin-1"))
    code, said = bring_in(runner, path)
    assert code == 1
    assert expected in said
    assert kept(app) == before


def test_all_that_is_wrong_is_named_up_to_a_point() -> None:
    rows = "".join(f"06,{year},x\n" for year in range(2001, 2019))
    with pytest.raises(FileError) as raised:
        read(io.StringIO(f"fips,year,median_age\n{rows}"))
    assert str(raised.value).count("column median_age") == 10
    assert "there may be more" in str(raised.value)


def test_a_failure_half_way_keeps_nothing(
    app: Flask, runner: FlaskCliRunner, panel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring_in(runner, panel)
    before = kept(app)
    changed = panel.with_name("changed.csv")
    changed.write_text(PANEL.replace("532300.0", "1.0"))

    def fail() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(db.session, "commit", fail)
    runner.invoke(args=["acs", "import", str(changed)])
    monkeypatch.undo()
    with app.app_context():
        db.session.rollback()
    assert kept(app) == before


figures = st.dictionaries(
    st.tuples(st.integers(2001, 2019), st.sampled_from(sorted(areas()))),
    st.builds(
        Estimate,
        st.floats(0, 100).map(lambda x: round(x, 3)),
        st.none() | st.floats(0, 9).map(lambda x: round(x, 3)),
    ),
    min_size=1,
    max_size=30,
)


@given(figures, figures)
def test_what_is_written_can_be_read_back(
    one: dict[tuple[int, str], Estimate], other: dict[tuple[int, str], Estimate]
) -> None:
    series = [Series("hs_pct", one), Series("median_age", other)]
    text = write(series, range(2001, 2020), areas())
    back = {(row.measure, row.year, row.fips): row.value for row in read(io.StringIO(text)) if row.value}
    expected = {(s.key, *place): value for s in series for place, value in s.figures.items()}
    assert back == expected


def test_rows_may_come_in_any_order() -> None:
    header, *rows = PANEL.splitlines()
    random.Random(1).shuffle(rows)  # noqa: S311 (no secret)
    shuffled = read(io.StringIO("\n".join([header, *rows])))
    assert {str(row) for row in shuffled} == {str(row) for row in read(io.StringIO(PANEL))}


# --- What is shipped ---------------------------------------------------------------------------


def test_what_is_shipped_is_sound() -> None:
    rows = shipped()
    assert len({(row.measure, row.year, row.fips) for row in rows}) == len(rows) > 400
    for row in rows:
        assert row.measure in MEASURES
        assert row.fips in areas()
        assert row.source in SOURCES
        assert row.value.value > 0
    assert {row.year for row in rows} == {2010, 2013, 2015, 2017}
    with_margin = {row.measure for row in rows if row.value.moe}
    assert with_margin == {"median_gross_rent", "median_personal_income"}
    known = {(row.measure, row.year, row.fips): row.value for row in rows}
    # Looked up in the packages that they are from.
    assert known["median_gross_rent", 2017, "01"] == Estimate(747, 3)
    assert known["median_personal_income", 2017, "04"] == Estimate(27517, 148)
    assert known["median_personal_income", 2010, "06"] == Estimate(27207)
    assert known["poverty_people", 2015, "02"] == Estimate(72957)
    assert known["income_low_pct", 2013, "01"].value == pytest.approx(30.4)


def test_every_area_but_one_has_an_outline() -> None:
    assert len(areas()) == 52
    assert [area.name for area in areas().values() if not area.path] == ["Puerto Rico"]


def test_surveys_are_not_mixed(app: Flask, runner: FlaskCliRunner, tmp_path: Path) -> None:
    with app.app_context():
        assert load("median_gross_rent")["median_gross_rent"].sources == ("acs5",)
        assert available()["rent_share_personal"] == [2017]
    path = tmp_path / "rent.csv"
    path.write_text("fips,year,median_gross_rent\n06,2017,1447\n")
    bring_in(runner, path)
    with app.app_context():
        rent = load("median_gross_rent")["median_gross_rent"]
        assert rent.sources == ("import",)
        assert set(rent.figures) == {(2017, "06")}, "expected nothing that is shipped beside it"
        assert "rent_share_personal" not in available(), (
            "expected no ratio of a one-year rent and a five-year income"
        )
        assert load("rent_share_personal")["rent_share_personal"].figures == {}


def test_ratios_follow_from_what_is_imported(app: Flask, runner: FlaskCliRunner, panel: Path) -> None:
    bring_in(runner, panel)
    with app.app_context():
        found = load("value_to_income")["value_to_income"]
        assert available()["value_to_income"] == [2007, 2008]
    assert set(found.figures) == {(2007, "01"), (2007, "06"), (2008, "06")}
    assert found.figures[2007, "06"].value == pytest.approx(532300 / 59948)


def test_the_list_says_what_there_is(runner: FlaskCliRunner, panel: Path) -> None:
    bring_in(runner, panel)
    said = runner.invoke(args=["acs", "list"]).output
    assert "median_home_value         2007 to 2008,  2 years  Median home value" in said
    assert "poverty_people            2010 to 2015" in said
