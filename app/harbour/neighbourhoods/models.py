"""Tables of the census figures."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Double, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from ..extensions import db
from ..models import UTF8, now


class Figure(db.Model):
    """An estimate of the American Community Survey. Missing estimates have no row.

    Attributes:
        measure: key in `measures.MEASURES`.
        year: year of the survey, or the last of several.
        fips: FIPS code of the area.
        estimate: in the unit of the measure.
        moe: margin of error at 90 percent confidence, or None.
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
    """A completely fetched year, which an interrupted fetch skips when it continues."""

    __tablename__ = "acs_years"

    year: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    fetched_at: Mapped[datetime] = mapped_column(default=now)

    __table_args__: Any = (UTF8,)
