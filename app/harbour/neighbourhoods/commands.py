"""What an operator does with the census's figures: `flask acs`."""

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
from .store import available, keep

acs = AppGroup("acs", help="Look after the census's figures.")


@acs.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def import_file(file: Path) -> None:
    """Bring in the figures of FILE, a CSV: all of them, or none and why.

    They take the place of those of the same measures, years and areas; a cell that is empty takes
    a figure away. The first line names the columns: fips, year, and measures, as README.md lists
    them.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            rows = read(opened)
    except FileError as error:
        raise click.ClickException(str(error)) from error
    try:
        kept = keep(rows)
        db.session.commit()
    except SQLAlchemyError:
        db.session.rollback()
        raise
    years = sorted({row.year for row in rows})
    missing, measures = len(rows) - kept, len({row.measure for row in rows})
    click.echo(
        f"Imported {plural(kept, 'figure')} of {plural(measures, 'measure')},"
        f" {years[0]} to {years[-1]}; {missing:,} are missing in the file."
    )


def _years(_ctx: click.Context, _param: click.Parameter, value: str) -> list[int]:
    """Return the years from one to another, such as 2010-2024, or one."""
    match = re.fullmatch(r"([0-9]{4})(?:-([0-9]{4}))?", value.strip())
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
    if not FIRST_YEAR <= first <= last <= LAST_YEAR:
        raise click.BadParameter(f"expected years such as 2010-2024, got {value!r}")
    return list(range(first, last + 1))


@acs.command("fetch")
@click.option("--years", required=True, callback=_years, help="Such as 2010-2024.")
@click.option("--again", is_flag=True, help="Those too that were fetched before.")
def fetch(years: list[int], again: bool) -> None:
    """Bring in the figures of some years from the Census Bureau's API.

    Each year is kept when it is there whole: after a failure, the same command goes on with the
    year that failed.
    """
    have = set() if again else set(db.session.scalars(select(FetchedYear.year)))
    # No transaction stays open while we wait for others.
    db.session.rollback()
    there = 0
    for number, year in enumerate(years, 1):
        progress = f"[{number}/{len(years)}] {year}:"
        if year == UNPUBLISHED:
            click.echo(
                f"{progress} passed over. The Census Bureau published no one-year estimates: too"
                " few people could be asked in the pandemic. Nothing takes their place."
            )
            continue
        try:
            said = "here already" if year in have else _fetch(year)
            there += 1
        except NotPublishedError:
            said = "not published, or not yet"
        except CensusError as error:
            raise click.ClickException(
                f"{progress} {error}. The years before it are kept; the same command goes on from here."
            ) from error
        click.echo(f"{progress} {said}")
    if not there and years != [UNPUBLISHED]:
        raise click.ClickException("None of these years is published there.")


def _fetch(year: int) -> str:
    """Bring in a whole year, and return what to say of it.

    Raises:
        CensusError: it could not be brought in; nothing of it is kept.
    """
    client = Client(
        current_app.config["HARBOUR_CENSUS_URL"],
        current_app.config["CENSUS_API_KEY"],
        say=lambda problem: click.echo(f"  {problem}", err=True),
    )
    rows, unknown = client.figures(year)
    try:
        kept = keep(rows)
        db.session.execute(delete(FetchedYear).where(FetchedYear.year == year))
        db.session.add(FetchedYear(year=year))
        db.session.commit()
    except IntegrityError as error:
        db.session.rollback()
        raise CensusError("somebody else brings in the same figures at this time") from error
    for key in unknown:
        click.echo(f"  no variable of {year} has the label of {key}", err=True)
    return f"{kept:,} figures of {len({row.fips for row in rows})} areas"


@acs.command("list")
def list_measures() -> None:
    """List what there are figures of."""
    for key, years in available().items():
        click.echo(f"{key:<26}{years[0]} to {years[-1]}, {len(years):>2} years  {ALL[key].label}")
