"""The last good answers about each town, asked for anew when they are old.

They are in the database, so that every worker and the digest has them while the service is down,
and for a minute in the cache, where most visitors find them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from flask import current_app
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from .. import logs
from ..extensions import db, remembered, row_count
from ..models import now
from . import service
from .models import Report
from .service import Current, ServiceError, Step
from .towns import Town

KEPT = 60  # seconds in the cache
FRESH = timedelta(minutes=10)  # as often as the service itself has something new
REST = timedelta(minutes=1)  # after it was asked: it is not asked by every visitor while it is down
OLD = timedelta(minutes=45)  # what is older is said to be
PATIENCE = 3.0  # seconds that a visitor waits for it, who is the one in ten minutes who does
PATHS = {"current": service.CURRENT, "forecast": service.FORECAST}

log = logs.get(__name__)


@dataclass(frozen=True)
class Weather:
    """What is known about a town's weather.

    Attributes:
        current: the weather now, or None.
        steps: the forecast, may be empty.
        current_at: when the service said so, UTC; None where it has not yet.
        forecast_at: likewise.
    """

    current: Current | None = None
    steps: tuple[Step, ...] = ()
    current_at: datetime | None = None
    forecast_at: datetime | None = None

    def old(self, moment: datetime) -> datetime | None:
        """Return when the older of the two came, if that is long ago."""
        times = [at for at in (self.current_at, self.forecast_at) if at]
        return min(times) if times and moment - min(times) > OLD else None


def weather(town: Town) -> Weather:
    """Return what is known about a town's weather, for a page."""
    text = remembered(f"weather {town.slug}", KEPT, lambda: json.dumps(refreshed(town, FRESH, PATIENCE)))
    return read(json.loads(text))


def refreshed(town: Town, fresh: timedelta, patience: float) -> dict[str, str | None]:
    """Return the last good answers, new ones if those are old and the service has any.

    Of several who find them old, one asks; the others take what there is.

    Args:
        town: the town.
        fresh: how old they may be.
        patience: how long to wait for the service, in seconds.
    """
    report = _stored(town)
    wanted = [part for part in PATHS if _aged(report.get(f"{part}_at"), fresh)]
    if wanted and service.configured() and _claim(town, known=bool(report)):
        found = _ask(town, wanted, time.monotonic() + patience)
        if found:
            db.session.execute(update(Report).where(Report.town == town.slug).values(**found))
            db.session.commit()
            report |= found
    return {
        name: value.isoformat() if isinstance(value, datetime) else value for name, value in report.items()
    }


def _stored(town: Town) -> dict[str, str | datetime | None]:
    """Return what is in the database, which is not held on to."""
    columns = (Report.current_json, Report.current_at, Report.forecast_json, Report.forecast_at)
    row = db.session.execute(select(*columns).where(Report.town == town.slug)).first()
    db.session.rollback()
    return dict(row._mapping) if row else {}


def outdated(town: Town) -> bool:
    """Whether the service has not answered for so long that a page would ask it."""
    report = _stored(town)
    return any(_aged(report.get(f"{part}_at"), FRESH) for part in PATHS)


def read(kept: Mapping[str, str | None]) -> Weather:
    """Return what the answers say. One that cannot be read counts as none."""
    current, steps, current_at, forecast_at = None, (), None, None
    try:
        if text := kept.get("current_json"):
            current, current_at = service.read_current(text), _time(kept.get("current_at"))
    except ServiceError:
        log.warning("weather_not_read", part="current")
    try:
        if text := kept.get("forecast_json"):
            steps, forecast_at = tuple(service.read_steps(text)), _time(kept.get("forecast_at"))
    except ServiceError:
        log.warning("weather_not_read", part="forecast")
    return Weather(current, steps, current_at, forecast_at)


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc) if text else None


def _aged(at: object, fresh: timedelta) -> bool:
    return not isinstance(at, datetime) or now() - at > fresh


def _claim(town: Town, *, known: bool) -> bool:
    """Whether it is ours to ask now. No connection is held while the service is waited for."""
    if not known:
        db.session.add(Report(town=town.slug, asked_at=now()))
        try:
            db.session.commit()
        except IntegrityError:
            db.session.rollback()
            return False
        return True
    claimed = db.session.execute(
        update(Report).where(Report.town == town.slug, Report.asked_at <= now() - REST).values(asked_at=now())
    )
    db.session.commit()
    return bool(row_count(claimed))


def _ask(town: Town, parts: list[str], deadline: float) -> dict[str, str | datetime]:
    """Return the new answers that the service has, by their columns."""
    found: dict[str, str | datetime] = {}
    for part in parts:
        try:
            text = service.ask(PATHS[part], town, deadline)
        except ServiceError as error:
            log.warning("weather_not_answered", part=part, town=town.slug, reason=str(error))
        else:
            found |= {f"{part}_json": text, f"{part}_at": now()}
    return found


def local(moment: datetime | None = None) -> datetime:
    """Return a time, or the time now, in the site's time zone."""
    return (moment or datetime.now(timezone.utc)).astimezone(current_app.config["HARBOUR_TIMEZONE"])
