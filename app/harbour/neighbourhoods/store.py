"""Figures from the database, or the shipped ones for measures without rows."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from sqlalchemy import delete, insert, select

from ..extensions import db
from .analysis import Estimate, ratio
from .measures import ALL, DATA, RATIOS
from .models import Figure


@dataclass(frozen=True)
class Row:
    """A figure from any source, see `models.Figure`. A value of None means that it is missing."""

    measure: str
    year: int
    fips: str
    value: Estimate | None
    source: str


@dataclass(frozen=True)
class Series:
    """All figures of one measure.

    Attributes:
        key: the measure, which may be a ratio.
        figures: figures by year and FIPS code.
        sources: keys of `measures.SOURCES`.
    """

    key: str
    figures: Mapping[tuple[int, str], Estimate]
    sources: tuple[str, ...] = ()

    @property
    def years(self) -> list[int]:
        """The years with figures, ascending."""
        return sorted({year for year, _ in self.figures})

    def of_year(self, year: int) -> dict[str, Estimate]:
        """Return a year's figures by area."""
        return {fips: value for (one, fips), value in self.figures.items() if one == year}

    def of_area(self, fips: str) -> dict[int, Estimate]:
        """Return an area's figures by year, ascending."""
        by_year = {year: value for (year, area), value in self.figures.items() if area == fips}
        return dict(sorted(by_year.items()))


@cache
def shipped() -> tuple[Row, ...]:
    """Return the figures shipped with the application."""
    with (DATA / "figures.csv").open(encoding="utf-8", newline="") as file:
        return tuple(
            Row(
                row["measure"],
                int(row["year"]),
                row["fips"],
                Estimate(
                    float(row["estimate"]),
                    float(row["margin_of_error"]) if row["margin_of_error"] else None,
                ),
                row["source"],
            )
            for row in csv.DictReader(file)
        )


def available() -> dict[str, list[int]]:
    """Return the years with figures for each measure and ratio, in one query."""
    stored = db.session.execute(select(Figure.measure, Figure.year, Figure.source).distinct()).tuples()
    by_measure: dict[str, set[tuple[int, str]]] = defaultdict(set)
    for measure, year, source in stored:
        by_measure[measure].add((year, source))
    stored_measures = set(by_measure)
    for row in shipped():
        if row.measure not in stored_measures:
            by_measure[row.measure].add((row.year, row.source))
    for one in RATIOS.values():
        by_measure[one.key] = by_measure.get(one.numerator, set()) & by_measure.get(one.denominator, set())
    return {key: sorted({year for year, _ in by_measure[key]}) for key in ALL if by_measure.get(key)}


def load(*keys: str) -> dict[str, Series]:
    """Return the figures of some measures and ratios, in one query.

    A measure without rows in the database uses the shipped figures. They are never mixed, because
    they come from different surveys.
    """
    needed = {
        part
        for key in keys
        for part in ((RATIOS[key].numerator, RATIOS[key].denominator) if key in RATIOS else (key,))
    }
    columns = (
        *(Figure.measure, Figure.year, Figure.fips),
        *(Figure.estimate, Figure.moe, Figure.source),
    )
    stored = [
        Row(measure, year, fips, Estimate(estimate, moe), source)
        for measure, year, fips, estimate, moe, source in db.session.execute(
            select(*columns).where(Figure.measure.in_(needed))
        ).tuples()
    ]
    stored_measures = {row.measure for row in stored}
    rows = [*stored, *(row for row in shipped() if row.measure in needed - stored_measures)]
    return {key: _ratio(key, rows) if key in RATIOS else _measure(key, rows) for key in keys}


def _measure(key: str, rows: Iterable[Row]) -> Series:
    matching = [row for row in rows if row.measure == key and row.value]
    return Series(
        key,
        {(row.year, row.fips): row.value for row in matching if row.value},
        tuple(sorted({row.source for row in matching})),
    )


def _ratio(key: str, rows: Collection[Row]) -> Series:
    """Return a ratio's figures, for years and areas with both parts from the same survey."""
    definition = RATIOS[key]
    denominators = {
        (row.year, row.fips, row.source): row.value for row in rows if row.measure == definition.denominator
    }
    figures: dict[tuple[int, str], Estimate] = {}
    sources = set()
    for row in rows:
        denominator = denominators.get((row.year, row.fips, row.source))
        if row.measure == definition.numerator and row.value and denominator:
            value = ratio(row.value, denominator, definition.factor)
            if value:
                figures[row.year, row.fips] = value
                sources.add(row.source)
    return Series(key, figures, tuple(sorted(sources)))


def save(rows: Iterable[Row]) -> int:
    """Replace the figures of the same measures, years and areas. Does not commit.

    Returns:
        The number of stored figures. Rows without a value only delete.
    """
    groups: dict[tuple[str, int], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.measure, row.year].append(row)
    values = []
    for (measure, year), group in groups.items():
        db.session.execute(
            delete(Figure).where(
                Figure.measure == measure,
                Figure.year == year,
                Figure.fips.in_([row.fips for row in group]),
            )
        )
        values += [
            {
                "measure": measure,
                "year": year,
                "fips": row.fips,
                "estimate": row.value.value,
                "moe": row.value.moe,
                "source": row.source,
            }
            for row in group
            if row.value
        ]
    if values:
        db.session.execute(insert(Figure), values)
    return len(values)
