"""Validate the calendars of timers, in the syntax of OnCalendar= (systemd.time(7)).

The controller may have no systemd. src/shared/calendarspec.c of systemd has the limits of each component.
Forms that differ between hosts are rejected: abbreviations of the local time zone, and ranges of one value,
which systemd 249 rejects. So are timestamps such as @0.
"""

from __future__ import annotations

import datetime
import re
import zoneinfo
from calendar import monthrange
from collections.abc import Iterator

SHORTHANDS = {
    *("minutely", "hourly", "daily", "weekly", "monthly", "quarterly", "semiannually", "yearly", "annually"),
    *("biannually", "bi-annually", "semi-annually", "anually"),
}
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
WEEKDAY = "|".join(rf"{name[:3]}(?:{name[3:]})?" for name in WEEKDAYS)
WEEKDAY_RANGE = rf"(?:{WEEKDAY})(?:(?:\.\.|-)(?:{WEEKDAY}))?"
# systemd limits the number of values in a list to 240.
VALUES = r"(?:\*|{n}(?:\.\.{n})?(?:/{n})?(?:,{n}(?:\.\.{n})?(?:/{n})?){{0,199}})"
WHOLE, DECIMAL = (VALUES.format(n=number) for number in (r"\d{1,9}", r"\d{1,3}(?:\.\d{1,9})?"))
CALENDAR = re.compile(
    rf"(?:(?P<weekdays>{WEEKDAY_RANGE}(?:,{WEEKDAY_RANGE})*),?(?: +|$))?"
    rf"(?:(?:(?P<year>{WHOLE})-)?(?P<month>{WHOLE})(?P<separator>[-~])(?P<day>{WHOLE})(?: +|$))?"
    rf"(?:(?P<hour>{WHOLE}):(?P<minute>{WHOLE})(?::(?P<second>{DECIMAL}))?)?",
    re.ASCII | re.IGNORECASE,
)
LAST_YEAR = 2199
LIMITS = {
    "year": (1970, LAST_YEAR),
    "month": (1, 12),
    "day": (1, 31),
    "hour": (0, 23),
    "minute": (0, 59),
    "second": (0, 60 - 1e-6),
}
# Debian and Ubuntu have names of other areas, such as US/Pacific, only in the package tzdata-legacy.
AREAS = {
    *("Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Etc", "Europe"),
    *("Indian", "Pacific"),
}

# The first value, the last one, and the distance of repetitions. Without a last value it is -1, without a
# distance it is 0. An invalid distance is negative.
Span = tuple[float, float, float]


def is_calendar(text: str) -> bool:
    """Return whether systemd accepts a calendar."""
    return text.lower() in SHORTHANDS or _parts(text) is not None


def occurs(text: str, today: datetime.date) -> bool:
    """Return whether a valid calendar includes a day that is not in the past."""
    parts = _parts(text) or {}
    weekdays = _weekdays(parts.get("weekdays") or "")
    years, months, days = (_spans(name, parts.get(name) or "*") for name in ("year", "month", "day"))
    for year in _matching(years, today.year, LAST_YEAR):
        for month in _matching(months, 1, 12):
            length = monthrange(year, month)[1]
            own = [_from_end(span, length) for span in days] if parts.get("separator") == "~" else days
            for day in _matching(own, 1, length):
                date = datetime.date(year, month, day)
                if date >= today and date.weekday() in weekdays:
                    return True
    return False


def _parts(text: str) -> dict[str, str | None] | None:
    """Return the parts of a calendar by name, or None if it is invalid. A shorthand has no parts."""
    head, _, zone = text.rpartition(" ")
    text = head if zone.upper() == "UTC" or is_time_zone(zone) else text
    if text.lower() in SHORTHANDS:
        return {}
    match = CALENDAR.fullmatch(text)
    if not text or not match:
        return None
    parts = match.groupdict()
    for name in LIMITS:
        end_of_month = name == "day" and parts["separator"] == "~"
        # systemd sorts the values. It limits a day from the end of the month to 28, and each further one of a
        # list to three less, probably by mistake.
        for index, span in enumerate(sorted(set(_spans(name, parts[name] or "*")))):
            if not _is_span(span, name, 28 - 3 * index if end_of_month else None):
                return None
    return parts if _weekdays(parts["weekdays"] or "") else None


def is_time_zone(name: str) -> bool:
    """Return whether all supported hosts have a time zone of this area."""
    if name.partition("/")[0] not in AREAS:
        return False
    try:
        zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        return False
    return True


def _spans(name: str, values: str) -> list[Span]:
    """Return the spans of a component; none for *, which matches all values."""
    spans: list[Span] = []
    for item in values.split(",") if values != "*" else ():
        limits, _, distance = item.partition("/")
        first, _, last = limits.partition("..")
        repetition = (float(distance) or -1.0) if distance else float(bool(last))
        start, stop = _number(name, first), _number(name, last) if last else -1.0
        if stop > start and repetition > 0:
            stop -= (stop - start) % repetition
        spans.append((start, stop, repetition))
    return spans


def _number(name: str, text: str) -> float:
    """Return a number. systemd reads the year 12 as 2012, and 89 as 1989."""
    number = float(text)
    if name == "year" and number < 100:
        return number + (2000 if number < 70 else 1900)
    return number


def _is_span(span: Span, name: str, end_of_month: int | None) -> bool:
    """Return whether the values are within their limits, and a repetition happens at least once.

    `end_of_month` is the limit of a day that counts from the end of the month.
    """
    (first, last, distance), (least, most) = span, LIMITS[name]
    most = most if end_of_month is None else end_of_month
    if distance < 0 or not least <= first <= most or distance > most - least:
        return False
    if last >= 0:
        return last <= most and first + distance <= last
    return first + distance <= most if end_of_month is None else first - distance >= least


def _from_end(span: Span, length: int) -> Span:
    """Return the days of a span that counts from the end of a month with that length."""
    first, last, distance = span
    if last < 0:
        return length + 1 - first, -1.0, distance
    return length + 1 - last, length + 1 - first, distance


def _matching(spans: list[Span], least: int, most: int) -> Iterator[int]:
    """Yield the values of spans from least to most."""
    for value in range(least, most + 1):
        if not spans or any(_matches(value, span) for span in spans):
            yield value


def _matches(value: int, span: Span) -> bool:
    first, last, distance = span
    if value <= first or distance == 0:
        return value == first
    return (last < 0 or value <= last) and (value - first) % distance == 0


def _weekdays(text: str) -> set[int]:
    """Return the numbers of weekdays, all of them without a text, and none if a range is invalid."""
    numbers = {name[:3]: number for number, name in enumerate(WEEKDAYS)}
    found: set[int] = set()
    for item in text.lower().split(",") if text else ["mon..sun"]:
        limits = [numbers[name[:3]] for name in re.split(r"\.\.|-", item)]
        if limits[0] > limits[-1]:
            return set()
        found |= set(range(limits[0], limits[-1] + 1))
    return found
