"""What is kept of the census."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Double, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from ..extensions import db
from ..models import UTF8, now


class Figure(db.Model):
    """An estimate of the American Community Survey. What is missing has no row.

    Attributes:
        measure: its key in `measures.MEASURES`.
        year: that the survey is of, or the last of several.
        fips: the area.
        estimate: in the measure's unit.
        moe: the margin of error, of 90 percent confidence; None where it is not known.
        source: a key of `measures.SOURCES`.
    """

    __tablename__ = "acs_figures"

    id: Mapped[int] = mapped_column(primary_key=True)
    measure: Mapped[str] = mapped_column(String(32))
    year: Mapped[int]
    fips: Mapped[str] = mapped_column(String(2))
    estimate: Mapped[float] = mapped_column(Double)
    moe: Mapped[float | None] = mapped_column(Double)
    source: Mapped[str] = mapped_column(String(8))

    __table_args__: Any = (Index(None, "measure", "year", "fips", unique=True), UTF8)


class FetchedYear(db.Model):
    """A year that was fetched whole: a fetch that was cut off goes on after it."""

    __tablename__ = "acs_years"

    year: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    fetched_at: Mapped[datetime] = mapped_column(default=now)

    __table_args__: Any = (UTF8,)
