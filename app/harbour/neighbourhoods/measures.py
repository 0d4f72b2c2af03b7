"""Measures, computed ratios, areas and sources."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

DATA = Path(__file__).with_name("data")
# Sources of the figures, with their descriptions on pages.
SOURCES = {
    "acs1": "American Community Survey, one-year estimates",
    "import": "an imported file; American Community Survey",
    "acs3": "American Community Survey, three-year estimates (the year is the last of the three)",
    "acs5": "American Community Survey, five-year estimates (the year is the last of the five)",
}
# The Census Bureau published no comparable one-year estimates for 2020, because too few people
# responded in the first year of the pandemic.
UNPUBLISHED = 2020


@dataclass(frozen=True)
class Measure:
    """A figure that is counted or estimated for each area and year.

    Attributes:
        key: name in files, in the database and in URLs.
        label: name on pages.
        unit: ``"$"``, ``"%"``, or a noun that follows the number.
        digits: decimals on pages.
        label_ends: possible last parts of the label in the Census API, in lower case; empty for
            measures that are not fetched.
        section: section of the label in the Census API, in lower case and without text in brackets.
        percent: whether the variable is the percentage; each line has a number and a percentage.
        within: another part of the label, if several lines have the same last part.
    """

    key: str
    label: str
    unit: str = ""
    digits: int = 0
    label_ends: tuple[str, ...] = ()
    section: str = ""
    percent: bool = False
    within: str = ""


@dataclass(frozen=True)
class Ratio:
    """A computed measure: one measure divided by another, times a factor.

    Both must have the same source and year.
    """

    key: str
    label: str
    numerator: str
    denominator: str
    factor: float = 1
    unit: str = ""
    digits: int = 1


MEDIAN = ("median (dollars)",)
MEASURES = {
    measure.key: measure
    for measure in (
        Measure("median_home_value", "Median home value", "$", 0, MEDIAN, "value"),
        Measure("median_gross_rent", "Median rent a month", "$", 0, MEDIAN, "gross rent"),
        Measure(
            "median_household_income",
            *("Median household income", "$", 0),
            ("median household income (dollars)",),
            "income and benefits",
        ),
        Measure("median_personal_income", "Median personal income", "$"),
        Measure(
            "poverty_pct",
            *("People in poverty, share", "%", 1, ("all people",)),
            "percentage of families and people whose income in the past 12 months is below the poverty level",
            percent=True,
        ),
        Measure("poverty_people", "People in poverty, number", "people"),
        Measure("income_low_pct", "Households with less than $25,000", "%", 1),
        Measure("income_high_pct", "Households with $100,000 or more", "%", 1),
        Measure(
            "owner_occupied_pct",
            *("Homes lived in by their owners", "%", 1, ("owner-occupied",)),
            "housing tenure",
            percent=True,
        ),
        Measure(
            "bachelors_pct",
            *("People of 25 and over with a bachelor\u2019s degree", "%", 1),
            ("bachelor's degree or higher", "percent bachelor's degree or higher"),
            "educational attainment",
            percent=True,
        ),
        Measure(
            "hs_pct",
            *("People of 25 and over who finished high school", "%", 1),
            ("high school graduate or higher", "percent high school graduate or higher"),
            "educational attainment",
            percent=True,
        ),
        Measure("population", "Population", "people", 0, ("total population",), "sex and age"),
        Measure("median_age", "Median age", "years", 1, ("median age (years)",), "sex and age"),
        Measure(
            "white_pct",
            *("People who are White alone", "%", 1, ("white",), "race"),
            percent=True,
            within="one race",
        ),
        Measure(
            "black_pct",
            *("People who are Black alone", "%", 1, ("black or african american",), "race"),
            percent=True,
            within="one race",
        ),
        Measure(
            "hispanic_pct",
            *("People who are Hispanic or Latino", "%", 1),
            ("hispanic or latino (of any race)",),
            "hispanic or latino and race",
            percent=True,
        ),
    )
}
RATIOS = {
    ratio.key: ratio
    for ratio in (
        Ratio(
            "value_to_income",
            "Home value in years of household income",
            *("median_home_value", "median_household_income"),
            unit="years",
        ),
        Ratio(
            "rent_share",
            "Yearly rent as a share of household income",
            *("median_gross_rent", "median_household_income", 1200, "%"),
        ),
        Ratio(
            "rent_share_personal",
            "Yearly rent as a share of personal income",
            *("median_gross_rent", "median_personal_income", 1200, "%"),
        ),
    )
}
ALL: dict[str, Measure | Ratio] = {**RATIOS, **MEASURES}


@dataclass(frozen=True)
class Area:
    """A state, the District of Columbia or Puerto Rico.

    Attributes:
        fips: FIPS code, two digits.
        name: name of the area.
        path: outline as an SVG path in a drawing of 975 by 610, or empty.
    """

    fips: str
    name: str
    path: str


@cache
def areas() -> dict[str, Area]:
    """Return all areas by their FIPS code, sorted by name."""
    states = json.loads((DATA / "states.json").read_text(encoding="utf-8"))
    return {
        fips: Area(fips, **area) for fips, area in sorted(states.items(), key=lambda item: item[1]["name"])
    }
