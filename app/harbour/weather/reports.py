"""The last valid responses for each town, refreshed when they are old.

They are stored in the database, so that all workers and the digest have them while the service is
down, and cached for a minute.
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
from ..extensions import cached_text, db, row_count
from ..models import now
from . import service
from .models import Report
from .service import Current, ServiceError, Step
from .towns import Town

CACHE_SECONDS = 60
MAX_AGE = timedelta(minutes=10)  # the update interval of the service
MIN_INTERVAL = timedelta(minutes=1)  # between requests while the service is down
STALE_AFTER = timedelta(minutes=45)  # the page then shows the age
MAX_WAIT = 3.0  # seconds that one visitor in ten minutes may wait for the service
PATHS = {"current": service.CURRENT, "forecast": service.FORECAST}

log = logs.get(__name__)


@dataclass(frozen=True)
class Weather:
    """The weather of a town, as far as available.

    Attributes:
        current: current weather, or None.
        steps: forecast, possibly empty.
        current_at: time of the response with the current weather, in UTC, or None.
        forecast_at: time of the response with the forecast, in UTC, or None.
    """

    current: Current | None = None
    steps: tuple[Step, ...] = ()
    current_at: datetime | None = None
    forecast_at: datetime | None = None

    def stale_since(self, moment: datetime) -> datetime | None:
        """Return the time of the older response if it is stale, otherwise None."""
        times = [at for at in (self.current_at, self.forecast_at) if at]
        return min(times) if times and moment - min(times) > STALE_AFTER else None


def weather(town: Town) -> Weather:
    """Return the weather of a town for a page."""
    text = cached_text(
        f"weather {town.slug}", CACHE_SECONDS, lambda: json.dumps(refresh(town, MAX_AGE, MAX_WAIT))
    )
    return read(json.loads(text))


def refresh(town: Town, max_age: timedelta, max_wait: float) -> dict[str, str | None]:
    """Return the last valid responses, after requesting new ones if they are old.

    One of several concurrent callers sends the request; the others get the stored responses.

    Args:
        town: the town.
        max_age: maximum age of the responses.
        max_wait: maximum time for the service, in seconds.
    """
    report = _load(town)
    parts = [part for part in PATHS if _is_older(report.get(f"{part}_at"), max_age)]
    if parts and service.configured() and _claim(town, exists=bool(report)):
        responses = _fetch(town, parts, time.monotonic() + max_wait)
        if responses:
            db.session.execute(update(Report).where(Report.town == town.slug).values(**responses))
            db.session.commit()
            report |= responses
    return {
        name: value.isoformat() if isinstance(value, datetime) else value for name, value in report.items()
    }


def _load(town: Town) -> dict[str, str | datetime | None]:
    """Return the stored responses, without keeping a transaction open."""
    columns = (Report.current_json, Report.current_at, Report.forecast_json, Report.forecast_at)
    row = db.session.execute(select(*columns).where(Report.town == town.slug)).first()
    db.session.rollback()
    return dict(row._mapping) if row else {}


def outdated(town: Town) -> bool:
    """Return whether a page would send a request because the responses are old."""
    report = _load(town)
    return any(_is_older(report.get(f"{part}_at"), MAX_AGE) for part in PATHS)


def read(stored: Mapping[str, str | None]) -> Weather:
    """Parse stored responses. Invalid ones count as missing."""
    current, steps, current_at, forecast_at = None, (), None, None
    try:
        if text := stored.get("current_json"):
            current, current_at = service.read_current(text), _time(stored.get("current_at"))
    except ServiceError:
        log.warning("weather_report_invalid", part="current")
    try:
        if text := stored.get("forecast_json"):
            steps, forecast_at = tuple(service.read_steps(text)), _time(stored.get("forecast_at"))
    except ServiceError:
        log.warning("weather_report_invalid", part="forecast")
    return Weather(current, steps, current_at, forecast_at)


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc) if text else None


def _is_older(at: object, max_age: timedelta) -> bool:
    return not isinstance(at, datetime) or now() - at > max_age


def _claim(town: Town, *, exists: bool) -> bool:
    """Return whether this process may send the request. Holds no connection during the request."""
    if not exists:
        db.session.add(Report(town=town.slug, requested_at=now()))
        try:
            db.session.commit()
        except IntegrityError:
            db.session.rollback()
            return False
        return True
    claimed = db.session.execute(
        update(Report)
        .where(Report.town == town.slug, Report.requested_at <= now() - MIN_INTERVAL)
        .values(requested_at=now())
    )
    db.session.commit()
    return bool(row_count(claimed))


def _fetch(town: Town, parts: list[str], deadline: float) -> dict[str, str | datetime]:
    """Return new valid responses, by column."""
    responses: dict[str, str | datetime] = {}
    for part in parts:
        try:
            text = service.fetch(PATHS[part], town, deadline)
        except ServiceError as error:
            log.warning("weather_request_failed", part=part, town=town.slug, reason=str(error))
        else:
            responses |= {f"{part}_json": text, f"{part}_at": now()}
    return responses


def local(moment: datetime | None = None) -> datetime:
    """Return a time, or the current time, in the site's time zone."""
    return (moment or datetime.now(timezone.utc)).astimezone(current_app.config["HARBOUR_TIMEZONE"])
