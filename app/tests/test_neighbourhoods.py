"""Pages of figures: map, time series, scatter plot and CSV files."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from hypothesis import given
from hypothesis import strategies as st

from harbour.neighbourhoods import charts
from harbour.neighbourhoods.analysis import Estimate, Fit, fit
from harbour.neighbourhoods.measures import ALL, MEASURES, areas
from harbour.neighbourhoods.texts import format_equation, format_estimate, format_tick, format_value

PATHS = ("/neighbourhoods/", "/neighbourhoods/over-time", "/neighbourhoods/compare")
SVG = re.compile(r"<svg class=\"chart (?:map|series|scatter)\".*?</svg>", re.DOTALL)


def chart_of(page: str) -> ElementTree.Element:
    """Return the chart of a page, parsed as XML."""
    [text] = SVG.findall(page)
    return ElementTree.fromstring(text)  # noqa: S314 (own output)


def texts(element: ElementTree.Element, name: str) -> list[str]:
    return ["".join(one.itertext()) for one in element.iter(name)]


@pytest.fixture
def panel_client(client: FlaskClient, runner: FlaskCliRunner, tmp_path: Path) -> FlaskClient:
    """Import six years of two measures, without 2020, and return a client."""
    rows = ["fips,year,median_home_value,median_home_value_moe,median_household_income"]
    for year in (2017, 2018, 2019, 2021, 2022, 2023):
        for fips in areas():
            if (fips, year) != ("06", 2018):
                n = int(fips)
                rows.append(f"{fips},{year},{100000 + 4000 * n + year},{900 + n},{40000 + 700 * n}")
    path = tmp_path / "panel.csv"
    path.write_text("\n".join(rows))
    result = runner.invoke(args=["acs", "import", str(path)])
    assert result.exit_code == 0, result.output
    return client


# --- All pages ---------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
def test_page_without_imports_shows_shipped_figures(client: FlaskClient, path: str) -> None:
    page = client.get(path)
    assert page.status_code == 200
    assert chart_of(page.text) is not None
    assert "American Community Survey, five-year estimates" in page.text
    assert "not endorsed or certified" in page.text


@pytest.mark.parametrize("path", PATHS)
def test_chart_has_title_description_and_table(panel_client: FlaskClient, path: str) -> None:
    page = panel_client.get(path).text
    chart = chart_of(page)
    ids = {one.get("id"): "".join(one.itertext()) for one in chart if one.get("id")}
    assert ids[chart.get("aria-labelledby")]
    assert len(ids[chart.get("aria-describedby")]) > 20
    assert chart.get("role") == ("group" if "map" in chart.get("class") else "img")
    assert '<table class="figures">' in page
    assert page.count('scope="col"') >= 2
    assert page.count('scope="row"') >= 6
    assert len(re.findall(r' id="([^"]+)"', page)) == len(set(re.findall(r' id="([^"]+)"', page)))


@pytest.mark.parametrize("path", PATHS)
def test_page_has_no_inline_style_or_script(panel_client: FlaskClient, path: str) -> None:
    page = panel_client.get(path).text
    assert " style=" not in page
    assert "<style" not in page
    assert "<script" not in page
    assert not re.search(r"\son\w+=", page)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "query",
    [
        *("measure=nothing&x=nothing&y=nothing&year=1&area=99", "measure=&year=&area=&x=&y="),
        *("year=999999999999999999999", "area=06&area=06&area=%00", "x=hs_pct&y=hs_pct"),
        *("measure=median_home_value&year=2020", "x=median_home_value&y=poverty_people"),
        "&".join(f"area={fips}" for fips in areas()),
    ],
)
def test_page_accepts_any_query(panel_client: FlaskClient, path: str, query: str) -> None:
    response = panel_client.get(f"{path}?{query}")
    assert response.status_code == 200
    assert "Traceback" not in response.text


@pytest.mark.parametrize("key", ALL)
def test_page_exists_for_every_measure(client: FlaskClient, key: str) -> None:
    """Covers measures with and without figures."""
    for query in (f"measure={key}", f"x={key}", f"y={key}"):
        for path in PATHS:
            assert client.get(f"{path}?{query}").status_code == 200, (path, query)


# --- The map -----------------------------------------------------------------------------------


def test_map_links_every_area(panel_client: FlaskClient) -> None:
    page = panel_client.get("/neighbourhoods/?measure=median_home_value&year=2023").text
    links = {link.get("aria-label"): link for link in chart_of(page).iter("a")}
    assert len(links) == 52
    label = "California: $126,023 ± $906"
    assert label in links, sorted(links)[:5]
    address = "/neighbourhoods/over-time?measure=median_home_value&area=06"
    assert links[label].get("href") == address
    assert panel_client.get(address).status_code == 200
    classes = [link.find("path").get("class") for link in links.values()]
    counts = [classes.count(f"class-{n}") for n in range(5)]
    assert sum(counts) == 52
    assert max(counts) - min(counts) <= 1, counts


def test_map_shows_missing_areas(panel_client: FlaskClient) -> None:
    page = panel_client.get("/neighbourhoods/?measure=median_home_value&year=2018").text
    links = {one.find("path").get("class"): one for one in chart_of(page).iter("a")}
    assert links["class-none"].get("aria-label") == "California: no figure"
    assert "No figure: California." in page


def test_table_shows_change_since_previous_year(panel_client: FlaskClient) -> None:
    page = panel_client.get("/neighbourhoods/?measure=median_home_value&year=2023").text
    assert "Since 2022" in page
    row = re.search(r"<tr>(?:(?!<tr>).)*>Wyoming<.*?</tr>", page, re.DOTALL)[0]
    assert "$326,023" in row
    assert "± $956" in row
    assert "+$1" in row
    assert "within the margin" in row


def test_legend_contains_classes_of_map(panel_client: FlaskClient) -> None:
    page = panel_client.get("/neighbourhoods/?measure=median_home_value&year=2023").text
    legend = re.search(r'<ul class="legend">.*?</ul>', page, re.DOTALL)[0]
    assert re.findall(r'rect class="class-(\d)"', legend) == ["4", "3", "2", "1", "0"]
    assert "$106,023 to" in legend


# --- Over time ---------------------------------------------------------------------------------


def test_time_series_breaks_line_at_missing_year(panel_client: FlaskClient) -> None:
    page = panel_client.get("/neighbourhoods/over-time?measure=median_home_value&area=01").text
    lines = [line.get("points").split() for line in chart_of(page).iter("polyline")]
    assert [len(line) for line in lines] == [3, 3], "expected 2017 to 2019 and 2021 to 2023"
    assert "2020: not published" in texts(chart_of(page), "text")
    assert "There is no 2020." in page
    assert re.search(r'<th scope="row">2020</th><td class="number"><span class="hint">not publ', page)
    isolated = panel_client.get("/neighbourhoods/over-time?measure=median_home_value&area=06").text
    lines = [line.get("points").split() for line in chart_of(isolated).iter("polyline")]
    assert [len(line) for line in lines] == [3], "expected 2017 and 2019 without lines"
    assert len([p for p in chart_of(isolated).iter("path") if p.get("class") == "mark"]) == 5


def test_map_of_2020_shows_notice_and_latest_year(panel_client: FlaskClient) -> None:
    page = panel_client.get("/neighbourhoods/?measure=median_home_value&year=2020").text
    assert "There is no 2020." in page
    assert "Median home value, 2023" in page


def test_time_series_draws_margins(panel_client: FlaskClient) -> None:
    page = panel_client.get("/neighbourhoods/over-time?measure=median_home_value&area=01").text
    bars = [line for line in chart_of(page).iter("line") if line.get("class") == "margin"]
    assert len(bars) == 6
    plain = panel_client.get("/neighbourhoods/over-time?measure=median_household_income&area=01").text
    assert not [line for line in chart_of(plain).iter("line") if line.get("class") == "margin"]


def test_time_series_draws_at_most_four_areas(panel_client: FlaskClient) -> None:
    query = "&".join(f"area={fips}" for fips in list(areas())[:9])
    page = panel_client.get(f"/neighbourhoods/over-time?measure=median_home_value&{query}").text
    groups = [g.get("class") for g in chart_of(page).iter("g") if "line-" in (g.get("class") or "")]
    assert groups == ["line-0", "line-1", "line-2", "line-3"]
    assert page.count(" selected>") == 5, "expected the measure and four areas"


def test_time_series_default_is_highest_median_and_lowest(panel_client: FlaskClient) -> None:
    page = panel_client.get("/neighbourhoods/over-time?measure=median_home_value").text
    legend = re.search(r'<ul class="legend">.*?</ul>', page, re.DOTALL)[0]
    assert "Puerto Rico" in legend  # the highest FIPS code
    assert "Alabama" in legend


def test_time_series_of_area_without_figures_shows_notice(client: FlaskClient) -> None:
    page = client.get("/neighbourhoods/over-time?measure=median_personal_income&area=72").text
    assert "There are no figures of this for Puerto Rico." in page


# --- Comparison of two measures ----------------------------------------------------------------


def test_scatter_plot_shows_line_and_correlation(panel_client: FlaskClient) -> None:
    query = "x=median_household_income&y=median_home_value&year=2023"
    page = panel_client.get(f"/neighbourhoods/compare?{query}").text
    chart = chart_of(page)
    assert len(list(chart.iter("circle"))) == 52
    assert len([line for line in chart.iter("line") if line.get("class") == "fit"]) == 1
    # Both grow linearly with the FIPS code.
    assert re.search(r"r\)</dt><dd>1.00</dd>", page)
    assert "<dd>52</dd>" in page
    assert "Fisher" in page


def test_scatter_plot_of_few_areas_has_no_line(app: Flask, runner: FlaskCliRunner, tmp_path: Path) -> None:
    path = tmp_path / "few.csv"
    path.write_text("fips,year,hs_pct,median_age\n01,2010,80,30\n02,2010,82,33\n04,2010,90,31\n")
    runner.invoke(args=["acs", "import", str(path)])
    page = app.test_client().get("/neighbourhoods/compare?x=hs_pct&y=median_age").text
    assert "too few areas" in page
    assert not [line for line in chart_of(page).iter("line") if line.get("class") == "fit"]


def test_comparison_of_ratio_with_its_part_shows_warning(panel_client: FlaskClient) -> None:
    page = panel_client.get("/neighbourhoods/compare?x=median_household_income&y=value_to_income").text
    assert "computed from the other" in page
    page = panel_client.get("/neighbourhoods/compare?x=median_household_income&y=median_home_value").text
    assert "computed from the other" not in page


# --- Files -------------------------------------------------------------------------------------


def rows(client: FlaskClient, query: str) -> list[dict[str, str]]:
    response = client.get(f"/neighbourhoods/figures.csv?{query}")
    assert response.status_code == 200
    assert response.mimetype == "text/csv"
    assert "attachment" in response.headers["Content-Disposition"]
    return list(csv.DictReader(io.StringIO(response.text)))


def test_csv_file_contains_requested_figures(panel_client: FlaskClient) -> None:
    figures = rows(panel_client, "measure=median_home_value&year=2023")
    assert len(figures) == 52
    [california] = [row for row in figures if row["fips"] == "06"]
    assert california["state"] == "California"
    assert california["median_home_value"] == "126023"
    assert california["median_home_value_moe"] == "906"
    years = [row["year"] for row in rows(panel_client, "measure=median_home_value&area=06")]
    assert years == ["2017", "2019", "2021", "2022", "2023"]
    both = rows(panel_client, "measure=median_home_value&measure=value_to_income&year=2023")
    assert float(both[0]["value_to_income"]) > 1
    assert len(rows(panel_client, "measure=x&year=x&area=x")) > 50


def test_page_links_csv_file(panel_client: FlaskClient) -> None:
    for path in PATHS:
        link = re.search(r'href="(/neighbourhoods/figures.csv[^"]*)"', panel_client.get(path).text)[1]
        assert len(rows(panel_client, link.replace("&amp;", "&").partition("?")[2])) > 4


# --- Formatting and chart_of --------------------------------------------------------------------


def test_format_value_adds_unit() -> None:
    value, share, years = (
        MEASURES["median_home_value"],
        MEASURES["poverty_pct"],
        ALL["value_to_income"],
    )
    assert format_value(385500, value) == "$385,500"
    assert format_value(-1200.4, value, sign=True) == "−$1,200"  # noqa: RUF001
    assert format_value(0.04, years, sign=True) == "0.0 years"
    assert format_value(-0.04, years) == "0.0 years"
    assert format_value(12.345, share) == "12.3%"
    assert format_value(4.25, years, sign=True) == "+4.2 years"
    assert format_estimate(Estimate(12, 0.5), share) == "12.0% ± 0.5%"
    assert [format_tick(n, value) for n in (500, 250_000, 1_500_000)] == ["$500", "$250k", "$1.5M"]
    assert format_tick(7.5, share) == "7.5%"


@pytest.mark.parametrize(
    ("slope", "intercept", "expected"),
    [
        (7.4156, -212_084.0, "y = \N{MINUS SIGN}212,100 + 7.416 x"),
        (-0.00012346, 12.34567, "y = 12.35 \N{MINUS SIGN} 0.0001235 x"),
    ],
)
def test_format_equation_rounds_to_four_digits(slope: float, intercept: float, expected: str) -> None:
    assert format_equation(Fit(9, slope, (0, intercept), 0.5, 0.1, 0.8)) == expected


def test_chart_escapes_text() -> None:
    chart = charts.time_series(
        [charts.Line("<b>&", {2010: Estimate(1)})],
        gap=2020,
        title='<script>"',
        description="&",
        show=str,
    )
    assert "<script>" not in chart
    assert "&lt;script&gt;" in chart


numbers = st.floats(0, 1e7)


@given(st.dictionaries(st.text("abc", max_size=3), st.tuples(numbers, numbers), min_size=1))
def test_scatter_plot_stays_within_frame(points: dict[str, tuple[float, float]]) -> None:
    markup = charts.scatter(
        points,
        fit(points.values()),
        labels=("x", "y"),
        title="t",
        description="d",
        show=(str, str),
    )
    chart = ElementTree.fromstring(markup)  # noqa: S314 (own output)
    for one in chart.iter():
        for name in ("x1", "x2", "cx"):
            assert charts.LEFT - 1 <= float(one.get(name, charts.LEFT)) <= charts.WIDTH
        for name in ("y1", "y2", "cy"):
            assert 0 <= float(one.get(name, 0)) <= charts.HEIGHT - charts.BOTTOM + 1


@given(
    st.dictionaries(
        st.integers(2005, 2024),
        st.builds(Estimate, numbers, st.none() | st.floats(0, 1e6)),
        min_size=1,
    )
)
def test_time_series_contains_each_year_once(values: dict[int, Estimate]) -> None:
    markup = charts.time_series([charts.Line("a", values)], gap=2020, title="t", description="d", show=str)
    chart = ElementTree.fromstring(markup)  # noqa: S314 (own output)
    assert len([one for one in chart.iter("path") if one.get("class") == "mark"]) == len(values)
    lengths = [len(one.get("points").split()) for one in chart.iter("polyline")]
    assert sum(lengths) <= len(values)
    assert len(lengths) == sum(year - 1 not in values and year + 1 in values for year in values), (
        "expected one line per run of consecutive years"
    )
