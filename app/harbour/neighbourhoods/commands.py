"""What an operator does with the census's figures: `flask acs`."""

from __future__ import annotations

from pathlib import Path

import click
from flask.cli import AppGroup
from sqlalchemy.exc import SQLAlchemyError

from ..extensions import db
from .files import FileError, read
from .measures import ALL
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
    missing = len(rows) - kept
    click.echo(
        f"Imported {kept:,} figures of {len({row.measure for row in rows})} measures,"
        f" {years[0]} to {years[-1]}; {missing:,} are missing in the file."
    )


@acs.command("list")
def list_measures() -> None:
    """List what there are figures of."""
    for key, years in available().items():
        click.echo(f"{key:<26}{years[0]} to {years[-1]}, {len(years):>2} years  {ALL[key].label}")
