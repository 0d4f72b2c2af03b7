"""Figures in CSV files: one row for an area and a year, one column for a measure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TextIO

from .analysis import Estimate, clean_estimate
from .measures import MEASURES, RATIOS, UNPUBLISHED, areas
from .store import Row, Series

MARGIN = "_moe"
FIRST_YEAR, LAST_YEAR = 2000, 2100
MOST_PROBLEMS = 10


class FileError(ValueError):
    """A file cannot be imported; it says which rows and columns are why."""


def read(file: TextIO) -> list[Row]:
    """Return the figures of a file.

    Its first line names the columns: ``fips`` and ``year``, if wanted ``state``, and measures by
    their keys, each with a column for its margin of error (``median_age_moe``) or without. What is
    computed from others is passed over.

    Raises:
        FileError: something in it is not as described.
    """
    try:
        return _read(csv.reader(file, strict=True))
    except UnicodeDecodeError as error:
        raise FileError(f"The file is not UTF-8: {error.reason} at byte {error.start}.") from error
    except csv.Error as error:
        raise FileError(f"The file is not CSV: {error}.") from error


def _read(lines: Iterator[list[str]]) -> list[Row]:
    columns = [name.strip() for name in next(lines, [])]
    _check(columns)
    measures = [name for name in columns if name in MEASURES]
    rows: list[Row] = []
    problems: list[str] = []
    seen: dict[tuple[str, int], int] = {}
    for number, cells in enumerate(lines, 2):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(columns):
            problems.append(f"row {number}: expected {len(columns)} cells, got {len(cells)}")
        else:
            row = dict(zip(columns, cells, strict=True))
            try:
                place = _place(row, seen)
                seen[place] = number
                rows += [_figure(row, *place, measure) for measure in measures]
            except _CellError as error:
                problems.append(f"row {number}, column {error.column}: {error}")
        if len(problems) >= MOST_PROBLEMS:
            problems.append("there may be more")
            break
    if problems:
        raise FileError("Nothing was imported.\n" + "\n".join(f"  {one}" for one in problems))
    if not rows:
        raise FileError("There are no rows in the file.")
    return rows


class _CellError(ValueError):
    def __init__(self, column: str, problem: object) -> None:
        super().__init__(str(problem))
        self.column = column


def _check(columns: Sequence[str]) -> None:
    """Refuse columns that are missing, not known, or there twice."""
    known = {"fips", "state", "year", *MEASURES, *(f"{key}{MARGIN}" for key in MEASURES)}
    known |= {*RATIOS, *(f"{key}{MARGIN}" for key in RATIOS)}
    problems = [f"column {name!r} is missing" for name in ("fips", "year") if name not in columns]
    problems += [f"column {name!r} is not known" for name in columns if name not in known]
    problems += [f"column {name!r} is there twice" for name in known if columns.count(name) > 1]
    problems += [
        f"column {name!r} is a margin of error without its estimate"
        for name in columns
        if name.endswith(MARGIN) and name.removesuffix(MARGIN) not in columns
    ]
    if not problems and not set(columns) & MEASURES.keys():
        problems = ["there is no column with figures"]
    if problems:
        raise FileError(
            "Nothing was imported: " + "; ".join(problems) + ". Columns are fips, year, state, "
            f"{', '.join(MEASURES)}, and each of these with {MARGIN} for its margin of error."
        )


def _place(row: Mapping[str, str], seen: Mapping[tuple[str, int], int]) -> tuple[str, int]:
    """Return the area and the year of a row, which no row before it has."""
    fips = row["fips"].strip().zfill(2)
    if fips not in areas():
        raise _CellError("fips", f"expected a state's number from 01 to 72, got {row['fips']!r:.60}")
    name = row.get("state", "").strip()
    if name and name.casefold() != areas()[fips].name.casefold():
        raise _CellError("state", f"{fips} is {areas()[fips].name}, got {name!r:.60}")
    year = row["year"].strip()
    if not (len(year) == 4 and year.isascii() and year.isdecimal()) or not (
        FIRST_YEAR <= int(year) <= LAST_YEAR
    ):
        raise _CellError("year", f"expected a year from {FIRST_YEAR} to {LAST_YEAR}, got {row['year']!r:.60}")
    if (fips, int(year)) in seen:
        raise _CellError("fips", f"this area and year are in row {seen[fips, int(year)]} already")
    return fips, int(year)


def _figure(row: Mapping[str, str], fips: str, year: int, measure: str) -> Row:
    """Return one figure of a row."""
    margin = f"{measure}{MARGIN}"
    value = moe = None
    try:
        column = measure
        value = clean_estimate(row[measure])
        if value is not None and MEASURES[measure].unit == "%" and value > 100:
            raise ValueError(f"expected a percentage, got {row[measure]!r:.60}")  # noqa: TRY301 (named below)
        column = margin
        moe = clean_estimate(row.get(margin))
    except ValueError as error:
        raise _CellError(column, error) from error
    if value is None:
        return Row(measure, year, fips, None, "import")
    if year == UNPUBLISHED:
        raise _CellError(
            measure, f"there are no one-year estimates of {UNPUBLISHED}, they were not published"
        )
    return Row(measure, year, fips, Estimate(value, moe), "import")


def write(series: Iterable[Series], years: Iterable[int], fips: Iterable[str]) -> str:
    """Return figures as a file, which `read` reads back.

    Args:
        series: the measures, a pair of columns each.
        years: which years, in this order.
        fips: which areas, likewise.
    """
    wanted = list(series)
    places = [(year, area) for area in fips for year in years]
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("fips", "state", "year", *(n for one in wanted for n in (one.key, one.key + MARGIN))))
    for year, area in places:
        values = [one.figures.get((year, area)) for one in wanted]
        if any(values):
            cells = [x for value in values for x in (_cells(value) if value else ("", ""))]
            writer.writerow((area, areas()[area].name, year, *cells))
    return text.getvalue()


def _cells(value: Estimate) -> tuple[str, str]:
    moe = "" if value.moe is None else f"{value.moe:.10g}"
    return f"{value.value:.10g}", moe
