"""CSV files of figures: a row per area and year, a column per measure."""

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
MAX_PROBLEMS = 10


class FileError(ValueError):
    """A file cannot be imported. The message lists rows and columns."""


def read(file: TextIO) -> list[Row]:
    """Return the figures in a file.

    The first line names the columns: ``fips``, ``year``, optionally ``state``, and measures, each
    with an optional column for its margin of error (``median_age_moe``). Columns of computed
    measures are ignored.

    Raises:
        FileError: the file is not valid.
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
            problems.append(f"row {number}: found {len(cells)} cells, expected {len(columns)}")
        else:
            row = dict(zip(columns, cells, strict=True))
            try:
                key = _key(row, seen)
                seen[key] = number
                rows += [_figure(row, *key, measure) for measure in measures]
            except _CellError as error:
                problems.append(f"row {number}, column {error.column}: {error}")
        if len(problems) >= MAX_PROBLEMS:
            problems.append("further problems are not listed")
            break
    if problems:
        raise FileError("Nothing was imported.\n" + "\n".join(f"  {one}" for one in problems))
    if not rows:
        raise FileError("The file contains no rows.")
    return rows


class _CellError(ValueError):
    def __init__(self, column: str, problem: object) -> None:
        super().__init__(str(problem))
        self.column = column


def _check(columns: Sequence[str]) -> None:
    """Reject missing, unknown and repeated columns."""
    allowed = {"fips", "state", "year", *MEASURES, *(f"{key}{MARGIN}" for key in MEASURES)}
    allowed |= {*RATIOS, *(f"{key}{MARGIN}" for key in RATIOS)}
    problems = [f"column {name!r} is missing" for name in ("fips", "year") if name not in columns]
    problems += [f"column {name!r} is unknown" for name in columns if name not in allowed]
    problems += [f"column {name!r} is repeated" for name in allowed if columns.count(name) > 1]
    problems += [
        f"column {name!r} is a margin of error without an estimate"
        for name in columns
        if name.endswith(MARGIN) and name.removesuffix(MARGIN) not in columns
    ]
    if not problems and not set(columns) & MEASURES.keys():
        problems = ["no column contains figures"]
    if problems:
        raise FileError(
            "Nothing was imported: " + "; ".join(problems) + ". Expected fips, year, state, "
            f"{', '.join(MEASURES)}, and margins of error with the suffix {MARGIN}."
        )


def _key(row: Mapping[str, str], seen: Mapping[tuple[str, int], int]) -> tuple[str, int]:
    """Return area and year of a row, which must be unique."""
    fips = row["fips"].strip().zfill(2)
    if fips not in areas():
        raise _CellError("fips", f"found {row['fips']!r:.60}, expected a state's number from 01 to 72")
    name = row.get("state", "").strip()
    if name and name.casefold() != areas()[fips].name.casefold():
        raise _CellError("state", f"found {name!r:.60}, expected {areas()[fips].name} for {fips}")
    year = row["year"].strip()
    if not (len(year) == 4 and year.isascii() and year.isdecimal()) or not (
        FIRST_YEAR <= int(year) <= LAST_YEAR
    ):
        raise _CellError(
            "year", f"found {row['year']!r:.60}, expected a year from {FIRST_YEAR} to {LAST_YEAR}"
        )
    if (fips, int(year)) in seen:
        raise _CellError("fips", f"row {seen[fips, int(year)]} has the same area and year")
    return fips, int(year)


def _figure(row: Mapping[str, str], fips: str, year: int, measure: str) -> Row:
    """Return one figure of a row."""
    margin = f"{measure}{MARGIN}"
    value = moe = None
    try:
        column = measure
        value = clean_estimate(row[measure])
        if value is not None and MEASURES[measure].unit == "%" and value > 100:
            raise ValueError(f"found {row[measure]!r:.60}, expected a percentage")  # noqa: TRY301 (caught below)
        column = margin
        moe = clean_estimate(row.get(margin))
    except ValueError as error:
        raise _CellError(column, error) from error
    if value is None:
        return Row(measure, year, fips, None, "import")
    if year == UNPUBLISHED:
        raise _CellError(measure, f"no one-year estimates were published for {UNPUBLISHED}")
    return Row(measure, year, fips, Estimate(value, moe), "import")


def write(series: Iterable[Series], years: Iterable[int], fips: Iterable[str]) -> str:
    """Return figures as CSV in the format of `read`.

    Args:
        series: the measures, with a pair of columns each.
        years: years, in the order of the rows.
        fips: areas, in the order of the rows.
    """
    measures = list(series)
    keys = [(year, area) for area in fips for year in years]
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("fips", "state", "year", *(n for one in measures for n in (one.key, one.key + MARGIN))))
    for year, area in keys:
        values = [one.figures.get((year, area)) for one in measures]
        if any(values):
            cells = [x for value in values for x in (_cells(value) if value else ("", ""))]
            writer.writerow((area, areas()[area].name, year, *cells))
    return text.getvalue()


def _cells(value: Estimate) -> tuple[str, str]:
    moe = "" if value.moe is None else f"{value.moe:.10g}"
    return f"{value.value:.10g}", moe
