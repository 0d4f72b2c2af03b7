"""Translate the schedules of crontab(5) to the syntax of systemd.time(7)."""

from __future__ import annotations

import re

from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.calendars import is_calendar

WORDS = {
    "@midnight": "daily",
    **{f"@{word}": word for word in ("hourly", "daily", "weekly", "monthly", "yearly", "annually")},
}
MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]


def from_cron(text: str) -> str:
    """Return the calendar with the same times as a schedule of cron, or an empty string."""
    text = text.strip().lower()
    fields = text.split()
    # cron runs a command if one of two days matches; systemd has no such expression.
    if text in WORDS or len(fields) != 5 or "*" not in (fields[2], fields[4]):
        return WORDS.get(text, "")
    minute, hour = (_values(field, 0) for field in fields[:2])
    minute, hour = (value.zfill(2) if value.isdigit() else value for value in (minute, hour))
    numbers = {name: str(number) for number, name in enumerate(MONTHS, 1)}
    day, month = _values(fields[2], 1), _values(_replaced(fields[3], numbers), 1)
    date = "" if day == month == "*" else f"*-{month}-{day} "
    calendar = f"{_weekdays(fields[4])}{date}{hour}:{minute}"
    return calendar if is_calendar(calendar) else ""


def _values(field: str, least: int) -> str:
    return re.sub(r"\*(?=/)", str(least), field).replace("-", "..")


def _weekdays(field: str) -> str:
    if field == "*":
        return ""
    names = {str(number): WEEKDAYS[number % 7] for number in range(8)}
    return _replaced(field, names).title().replace("-", "..") + " "


def _replaced(field: str, words: dict[str, str]) -> str:
    return re.sub("[a-z]+|[0-9]+", lambda match: words.get(match[0], match[0]), field)
