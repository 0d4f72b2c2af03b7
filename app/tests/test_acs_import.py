"""Import and export of CSV files."""

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

# Columns of a common panel file: estimates only, floats, jam values.
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


def import_file(runner: FlaskCliRunner, path: Path) -> tuple[int, str]:
    result = runner.invoke(args=["acs", "import", str(path)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def stored_figures(app: Flask) -> set[tuple[object, ...]]:
    with app.app_context():
        rows = db.session.scalars(select(Figure))
        return {(one.measure, one.year, one.fips, one.estimate, one.moe) for one in rows}


def test_import_is_idempotent(app: Flask, runner: FlaskCliRunner, panel: Path) -> None:
    code, output = import_file(runner, panel)
    assert code == 0, output
    assert "Imported 11 figures of 4 measures, 2007 to 2008; 5 cells are empty" in output
    first = stored_figures(app)
    assert ("median_home_value", 2007, "06", 532300.0, None) in first
    assert not [row for row in first if row[3] in {888888888.0, -666666666.0}]
    assert import_file(runner, panel) == (code, output)
    assert stored_figures(app) == first, "expected no change by a second import"


def test_import_replaces_only_figures_in_file(
    app: Flask, runner: FlaskCliRunner, panel: Path, tmp_path: Path
) -> None:
    import_file(runner, panel)
    before = stored_figures(app)
    newer = tmp_path / "newer.csv"
    newer.write_bytes(
        "\ufefffips,year,median_home_value,median_home_value_moe,bachelors_pct\r\n"
        "6,2007,470000,1500.5,\r\n".encode()
    )
    assert import_file(runner, newer)[0] == 0
    replaced = {
        ("median_home_value", 2007, "06", 532300.0, None),
        ("bachelors_pct", 2007, "06", 29.5, None),
    }
    assert stored_figures(app) == before - replaced | {("median_home_value", 2007, "06", 470000.0, 1500.5)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fips,year,median_age\n06,2010,old\n", "row 2, column median_age: found 'old', expected a number"),
        (
            "fips,year,median_age\n06,2010,37\n99,2010,3\n",
            "row 3, column fips: found '99', expected a state's",
        ),
        ("fips,year,median_age\n06,10,37\n", "row 2, column year: found '10', expected a year from 2000"),
        (
            "fips,year,median_age\n06,2010,37\n6,2010,38\n",
            "row 3, column fips: row 2 has the same area and year",
        ),
        ("fips,year,median_age\n06,2010\n", "row 2: found 2 cells, expected 3"),
        (
            "fips,year,state,median_age\n06,2010,Ohio,3\n",
            "column state: found 'Ohio', expected California for 06",
        ),
        ("fips,year,median_age\n06,2010,-3\n", "column median_age: found '-3', expected zero or more"),
        ("fips,year,hs_pct\n06,2010,101\n", "column hs_pct: found '101', expected a percentage"),
        ("fips,year,hs_pct,hs_pct_moe\n06,2010,80,x\n", "column hs_pct_moe: found 'x', expected a number"),
        ("fips,year,median_age\n06,2020,37\n", "no one-year estimates were published for 2020"),
        ("fips,year,height\n06,2010,3\n", "column 'height' is unknown"),
        ("fips,median_age\n06,37\n", "column 'year' is missing"),
        ("fips,year,median_age,median_age\n06,2010,3,4\n", "column 'median_age' is repeated"),
        ("fips,year,hs_pct_moe\n06,2010,3\n", "a margin of error without an estimate"),
        ("fips,year,state\n06,2010,California\n", "no column contains figures"),
        ("fips,year,median_age\n", "no rows"),
        ("", "column 'fips' is missing"),
        ('fips,year,median_age\n06,2010,"3\n', "not CSV"),
        ("fips,year,median_age\n06,2010,3\xe9\n", "not UTF-8"),
    ],
)
def test_import_of_invalid_file_reports_problem_and_fails(
    app: Flask, runner: FlaskCliRunner, panel: Path, tmp_path: Path, text: str, expected: str
) -> None:
    import_file(runner, panel)
    before = stored_figures(app)
    path = tmp_path / "invalid.csv"
    path.write_bytes(text.encode("latin-1"))
    code, output = import_file(runner, path)
    assert code == 1
    assert expected in output
    assert stored_figures(app) == before


def test_read_reports_at_most_ten_problems() -> None:
    rows = "".join(f"06,{year},x\n" for year in range(2001, 2019))
    with pytest.raises(FileError) as raised:
        read(io.StringIO(f"fips,year,median_age\n{rows}"))
    assert str(raised.value).count("column median_age") == 10
    assert "further problems are not listed" in str(raised.value)


def test_interrupted_import_stores_nothing(
    app: Flask, runner: FlaskCliRunner, panel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_file(runner, panel)
    before = stored_figures(app)
    changed = panel.with_name("changed.csv")
    changed.write_text(PANEL.replace("532300.0", "1.0"))

    def fail() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(db.session, "commit", fail)
    runner.invoke(args=["acs", "import", str(changed)])
    monkeypatch.undo()
    with app.app_context():
        db.session.rollback()
    assert stored_figures(app) == before


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
def test_read_returns_written_figures(
    one: dict[tuple[int, str], Estimate], other: dict[tuple[int, str], Estimate]
) -> None:
    series = [Series("hs_pct", one), Series("median_age", other)]
    text = write(series, range(2001, 2020), areas())
    imported = {(row.measure, row.year, row.fips): row.value for row in read(io.StringIO(text)) if row.value}
    expected = {(s.key, *key): value for s in series for key, value in s.figures.items()}
    assert imported == expected


def test_read_is_independent_of_row_order() -> None:
    header, *rows = PANEL.splitlines()
    random.Random(1).shuffle(rows)  # noqa: S311 (not for cryptography)
    shuffled = read(io.StringIO("\n".join([header, *rows])))
    assert {str(row) for row in shuffled} == {str(row) for row in read(io.StringIO(PANEL))}


# --- Shipped figures ---------------------------------------------------------------------------


def test_shipped_figures_are_valid() -> None:
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
    by_key = {(row.measure, row.year, row.fips): row.value for row in rows}
    # Checked against the source packages.
    assert by_key["median_gross_rent", 2017, "01"] == Estimate(747, 3)
    assert by_key["median_personal_income", 2017, "04"] == Estimate(27517, 148)
    assert by_key["median_personal_income", 2010, "06"] == Estimate(27207)
    assert by_key["poverty_people", 2015, "02"] == Estimate(72957)
    assert by_key["income_low_pct", 2013, "01"].value == pytest.approx(30.4)


def test_areas_except_puerto_rico_have_outlines() -> None:
    assert len(areas()) == 52
    assert [area.name for area in areas().values() if not area.path] == ["Puerto Rico"]


def test_imported_measure_hides_shipped_figures(app: Flask, runner: FlaskCliRunner, tmp_path: Path) -> None:
    with app.app_context():
        assert load("median_gross_rent")["median_gross_rent"].sources == ("acs5",)
        assert available()["rent_share_personal"] == [2017]
    path = tmp_path / "rent.csv"
    path.write_text("fips,year,median_gross_rent\n06,2017,1447\n")
    import_file(runner, path)
    with app.app_context():
        rent = load("median_gross_rent")["median_gross_rent"]
        assert rent.sources == ("import",)
        assert set(rent.figures) == {(2017, "06")}, "expected no shipped figures of this measure"
        assert "rent_share_personal" not in available(), (
            "expected no ratio of a one-year rent and a five-year income"
        )
        assert load("rent_share_personal")["rent_share_personal"].figures == {}


def test_ratio_is_computed_from_imported_figures(app: Flask, runner: FlaskCliRunner, panel: Path) -> None:
    import_file(runner, panel)
    with app.app_context():
        series = load("value_to_income")["value_to_income"]
        assert available()["value_to_income"] == [2007, 2008]
    assert set(series.figures) == {(2007, "01"), (2007, "06"), (2008, "06")}
    assert series.figures[2007, "06"].value == pytest.approx(532300 / 59948)


def test_acs_list_prints_measures_and_years(runner: FlaskCliRunner, panel: Path) -> None:
    import_file(runner, panel)
    output = runner.invoke(args=["acs", "list"]).output
    assert "median_home_value         2007 to 2008,  2 years  Median home value" in output
    assert "poverty_people            2010 to 2015" in output
