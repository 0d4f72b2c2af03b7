"""Pages with a map, a time series and a scatter plot, each with a table, and CSV downloads.

Like the search for homes, the pages accept every query: unknown values are ignored, and a measure
with figures is shown instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from flask import Blueprint, Response, render_template, request, url_for

from . import charts, texts
from .analysis import Change, change, class_of, fit, quantile_bounds, span
from .files import write
from .measures import ALL, SOURCES, UNPUBLISHED, Ratio, areas
from .store import Series, available, load

# Defaults: the first measure with figures.
MAP_DEFAULTS = ("value_to_income", "rent_share", "rent_share_personal", *ALL)
SERIES_DEFAULTS = ("median_home_value", "median_personal_income", *ALL)
X_DEFAULTS = ("median_household_income", "median_personal_income", *ALL)
Y_DEFAULTS = ("median_home_value", "median_gross_rent", *ALL)

Choices = Mapping[str, Sequence[int]]

bp = Blueprint("neighbourhoods", __name__, url_prefix="/neighbourhoods")


@bp.context_processor
def names() -> dict[str, object]:
    """Return variables that all templates of this area need."""
    return {"measures": ALL, "sources": SOURCES, "unpublished": UNPUBLISHED}


bp.add_app_template_filter(texts.format_value, "figure")


@bp.get("/")
def index() -> str:
    """Show one measure of one year, on a map and in a table."""
    choices = available()
    key = _measure("measure", choices, MAP_DEFAULTS)
    measure, series = ALL[key], load(key)[key]
    year = _year(choices[key])
    values = series.of_year(year)
    bounds = quantile_bounds([value.value for value in values.values()], charts.CLASSES)
    ranked = sorted(values, key=lambda fips: -values[fips].value)
    title = f"{measure.label}, {year}"
    summary = texts.summary(ranked, values, measure)
    picture = charts.choropleth(
        areas().values(),
        values,
        bounds,
        title=title,
        description=summary,
        show=partial(texts.format_estimate, measure=measure),
        link=lambda fips: url_for("neighbourhoods.over_time", measure=key, area=fips),
    )
    earlier = [one for one in choices[key] if one < year]
    return render_template(
        "neighbourhoods/map.html",
        choices=choices,
        key=key,
        measure=measure,
        series=series,
        year=year,
        picture=picture,
        summary=summary,
        legend=texts.legend(bounds, values, measure),
        rows=[(areas()[fips], values[fips]) for fips in ranked],
        missing=[area.name for area in areas().values() if area.fips not in values],
        classes={fips: class_of(values[fips].value, bounds) for fips in values},
        before=earlier[-1] if earlier else None,
        changes=_changes(series, earlier[-1], year) if earlier else {},
    )


@bp.get("/over-time")
def over_time() -> str:
    """Show one measure of some areas over time."""
    choices = available()
    key = _measure("measure", choices, SERIES_DEFAULTS)
    measure, series = ALL[key], load(key)[key]
    selected = _areas(series)
    lines = [charts.Line(areas()[fips].name, series.of_area(fips)) for fips in selected]
    years = sorted({year for line in lines for year in line.values})
    spans = [(line, span(line.values)) for line in lines if len(line.values) > 1]
    has_gap = any(year < UNPUBLISHED for year in years) and any(year > UNPUBLISHED for year in years)
    picture = charts.time_series(
        lines,
        gap=UNPUBLISHED,
        title=f"{measure.label} over time",
        description=texts.changes(spans, measure, has_gap),
        show=partial(texts.format_tick, measure=measure),
    )
    return render_template(
        "neighbourhoods/over_time.html",
        choices=choices,
        key=key,
        measure=measure,
        series=series,
        picture=picture,
        lines=lines,
        samples=[charts.sample(number) for number in range(len(lines))],
        selected=selected,
        slots=charts.LINES,
        areas=areas().values(),
        years=years,
        gap=has_gap,
        spans=spans,
    )


@bp.get("/compare")
def compare() -> str:
    """Show two measures in a scatter plot with the fitted line."""
    choices = available()
    x_key = _measure("x", choices, X_DEFAULTS)
    common = {key: [year for year in years if year in choices[x_key]] for key, years in choices.items()}
    others: Choices = {key: years for key, years in common.items() if years and key != x_key}
    y_key = _measure("y", others or choices, Y_DEFAULTS)
    series = load(x_key, y_key)
    year = _year(others.get(y_key) or choices[x_key])
    x, y = ALL[x_key], ALL[y_key]
    xs, ys = series[x_key].of_year(year), series[y_key].of_year(year)
    common_areas = [fips for fips in areas() if fips in xs and fips in ys]
    line = fit((xs[fips].value, ys[fips].value) for fips in common_areas)
    picture = charts.scatter(
        {areas()[fips].name: (xs[fips].value, ys[fips].value) for fips in common_areas},
        line,
        labels=(x.label, y.label),
        title=f"{y.label} against {x.label[0].lower()}{x.label[1:]}, {year}",
        description=f"{len(common_areas)} areas, a disc each."
        + (f" Correlation {line.r:.2f}, from {line.low:.2f} to {line.high:.2f}." if line else ""),
        show=(partial(texts.format_tick, measure=x), partial(texts.format_tick, measure=y)),
    )
    return render_template(
        "neighbourhoods/compare.html",
        choices=choices,
        others=others,
        keys=(x_key, y_key),
        x=x,
        y=y,
        series=series,
        year=year,
        shown_years=others.get(y_key) or choices[x_key],
        fit=line,
        equation=texts.format_equation(line) if line else "",
        picture=picture,
        rows=[(areas()[fips], xs[fips], ys[fips]) for fips in common_areas],
        shared=_have_common_part(x_key, y_key),
    )


@bp.get("/figures.csv")
def figures() -> Response:
    """Return the figures of one or two measures as CSV, optionally for one year or some areas."""
    choices = available()
    keys = [key for key in dict.fromkeys(request.args.getlist("measure")) if key in choices]
    keys = keys[:2] or [_measure("measure", choices, MAP_DEFAULTS)]
    series = load(*keys)
    all_years = sorted({year for one in series.values() for year in one.years})
    years = [year for year in all_years if str(year) == request.args.get("year")] or all_years
    fips_codes = [fips for fips in areas() if fips in request.args.getlist("area")] or list(areas())
    response = Response(write(series.values(), years, fips_codes), mimetype="text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="{"-".join(keys)}.csv"'
    return response


# --- Query parameters --------------------------------------------------------------------------


def _measure(name: str, choices: Choices, preferred: Iterable[str]) -> str:
    value = request.args.get(name, "")
    return value if value in choices else next(key for key in preferred if key in choices)


def _year(years: Sequence[int]) -> int:
    value = request.args.get("year", "")
    return next((year for year in years if str(year) == value), years[-1])


def _areas(series: Series) -> list[str]:
    """Return the requested areas, or the areas with the highest, middle and lowest figure."""
    requested = [fips for fips in dict.fromkeys(request.args.getlist("area")) if fips in areas()]
    if requested:
        return requested[: charts.LINES]
    values = series.of_year(series.years[-1])
    ranked = sorted(values, key=lambda fips: -values[fips].value)
    return list(dict.fromkeys((ranked[0], ranked[len(ranked) // 2], ranked[-1])))


# --- Derived figures ----------------------------------------------------------------------------


def _changes(series: Series, before: int, after: int) -> dict[str, Change]:
    earlier = series.of_year(before)
    return {
        fips: change(earlier[fips], value) for fips, value in series.of_year(after).items() if fips in earlier
    }


def _have_common_part(one: str, other: str) -> bool:
    """Return whether two measures have a common component."""

    def parts(key: str) -> set[str]:
        measure = ALL[key]
        return {measure.numerator, measure.denominator} if isinstance(measure, Ratio) else {key}

    return bool(parts(one) & parts(other))
