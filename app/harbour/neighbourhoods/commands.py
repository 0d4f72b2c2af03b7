"""Commands for the census figures: `flask acs`."""

from __future__ import annotations

import re
from pathlib import Path

import click
from flask import current_app
from flask.cli import AppGroup
from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from ..extensions import db
from ..formats import plural
from .census import CensusError, Client, NotPublishedError
from .files import FIRST_YEAR, LAST_YEAR, FileError, read
from .measures import ALL, UNPUBLISHED
from .models import FetchedYear
from .store import available, save

acs = AppGroup("acs", help="Manage the census figures.")


@acs.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def import_file(file: Path) -> None:
    """Import the figures of a CSV FILE, completely or not at all.

    Figures of the same measures, years and areas are replaced; an empty cell deletes a figure. The
    first line names the columns: fips, year, and measures, as listed in README.md.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows = read(stream)
    except FileError as error:
        raise click.ClickException(str(error)) from error
    try:
        imported = save(rows)
        db.session.commit()
    except SQLAlchemyError:
        db.session.rollback()
        raise
    years = sorted({row.year for row in rows})
    missing, measures = len(rows) - imported, len({row.measure for row in rows})
    click.echo(
        f"Imported {plural(imported, 'figure')} of {plural(measures, 'measure')},"
        f" {years[0]} to {years[-1]}; {missing:,} cells are empty."
    )


def _years(_ctx: click.Context, _param: click.Parameter, value: str) -> list[int]:
    """Parse a range of years such as 2010-2024, or one year."""
    match = re.fullmatch(r"([0-9]{4})(?:-([0-9]{4}))?", value.strip())
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
    if not FIRST_YEAR <= first <= last <= LAST_YEAR:
        raise click.BadParameter(f"found {value!r}, expected years such as 2010-2024")
    return list(range(first, last + 1))


@acs.command("fetch")
@click.option("--years", required=True, callback=_years, help="Such as 2010-2024.")
@click.option("--again", is_flag=True, help="Fetch years again that were fetched before.")
def fetch(years: list[int], again: bool) -> None:
    """Fetch the figures of some years from the Census Bureau's API.

    Each year is committed when it is complete. After a failure, the same command continues with
    the year that failed.
    """
    fetched = set() if again else set(db.session.scalars(select(FetchedYear.year)))
    # End the transaction before the requests.
    db.session.rollback()
    available_years = 0
    for number, year in enumerate(years, 1):
        progress = f"[{number}/{len(years)}] {year}:"
        if year == UNPUBLISHED:
            click.echo(
                f"{progress} skipped. The Census Bureau published no one-year estimates for {UNPUBLISHED},"
                " because of too few responses in the pandemic."
            )
            continue
        try:
            status = "already fetched" if year in fetched else _fetch(year)
            available_years += 1
        except NotPublishedError:
            status = "not published (yet)"
        except CensusError as error:
            raise click.ClickException(
                f"{progress} {error}. Earlier years are stored. Run the same command to continue."
            ) from error
        click.echo(f"{progress} {status}")
    if not available_years and years != [UNPUBLISHED]:
        raise click.ClickException("The Census Bureau has published none of these years.")


def _fetch(year: int) -> str:
    """Fetch and store one year, and return a summary.

    Raises:
        CensusError: the fetch failed, and nothing was stored.
    """
    client = Client(
        current_app.config["HARBOUR_CENSUS_URL"],
        current_app.config["CENSUS_API_KEY"],
        report=lambda problem: click.echo(f"  {problem}", err=True),
    )
    rows, unmatched = client.figures(year)
    try:
        stored = save(rows)
        db.session.execute(delete(FetchedYear).where(FetchedYear.year == year))
        db.session.add(FetchedYear(year=year))
        db.session.commit()
    except IntegrityError as error:
        db.session.rollback()
        raise CensusError("another process stores the same figures at the same time") from error
    for key in unmatched:
        click.echo(f"  {key}: no variable of {year} has its label", err=True)
    return f"{stored:,} figures of {len({row.fips for row in rows})} areas"


@acs.command("list")
def list_measures() -> None:
    """List the measures and their years."""
    for key, years in available().items():
        click.echo(f"{key:<26}{years[0]} to {years[-1]}, {len(years):>2} years  {ALL[key].label}")
