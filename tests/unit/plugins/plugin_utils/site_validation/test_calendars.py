"""Calendars of timers: the validator accepts what systemd accepts, and cron's syntax is translated."""

from __future__ import annotations

import datetime
import random
import re
import shutil
import subprocess

import pytest
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.calendars import (
    is_calendar,
    occurs,
)
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.cron import from_cron

TODAY = datetime.datetime.now(datetime.UTC).date()
COUNT = 3000
needs_systemd = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="this machine has no systemd-analyze"
)


def component(rng: random.Random, most: int) -> str:
    """Return values of a component, of which some are above the maximum or in the wrong order."""

    def item() -> str:
        first, last, distance = (rng.randint(0, most + most // 8) for _ in range(3))
        # systemd 249 rejects ranges that contain one value, and newer versions do not.
        if rng.random() < 0.3 and first < last:
            return f"{first}..{last}" + (f"/{rng.randint(1, last - first)}" if rng.random() < 0.3 else "")
        return f"{first}/{distance // 3}" if rng.random() < 0.2 else f"{first}"

    return "*" if rng.random() < 0.4 else ",".join(item() for _ in range(rng.choice((1, 1, 1, 2, 3))))


def calendar(rng: random.Random) -> str:
    """Return a text that resembles a calendar. About half of the texts are valid."""
    names = ("Mon", "tuesday", "WED", "Thu", "Friday", "Sat", "sun", "Mon..Fri", "Sat-Sun", "Fri..Tue", "Xyz")
    weekdays = ",".join(rng.choice(names) for _ in range(rng.choice((0, 0, 0, 1, 2))))
    year = rng.choice(("", "", "*-", f"{rng.randint(2020, 2045)}-", f"{rng.randint(0, 99)}-", "2026/4-"))
    date = f"{year}{component(rng, 12)}{rng.choice('---~')}{component(rng, 31)}"
    second = f":{component(rng, 59)}{rng.choice(('', '', '.5'))}" if rng.random() < 0.4 else ""
    time = f"{component(rng, 23)}:{component(rng, 59)}{second}"
    zone = rng.choice(("", "", "", "UTC", "Europe/Berlin", "Europe/Nowhere", "Mars"))
    parts = [part for part in (weekdays, date, time, zone) if part and rng.random() < 0.7]
    text = " ".join(parts) or rng.choice(("daily", "Weekly", "yearly UTC", "fortnightly", "*", "1"))
    if rng.random() < 0.1:
        place = rng.randrange(len(text))
        text = text[:place] + rng.choice("*/.,-:~ 0x") + text[place + 1 :]
    return text.strip()


@needs_systemd
def test_validator_agrees_with_systemd() -> None:
    rng = random.Random(20260101)
    values = sorted({calendar(rng) for _ in range(COUNT)})
    command = ["systemd-analyze", "calendar", "--", *values]
    environment = {"PATH": "/usr/bin:/bin", "TZ": "UTC", "LC_ALL": "C.UTF-8"}
    process = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    rejected = set(re.findall(r"'(.*)': ", process.stderr))
    elapses = re.findall(r"Next elapse: (.*)", process.stdout)
    expected = dict.fromkeys(rejected, "invalid") | dict(
        zip((value for value in values if value not in rejected), elapses, strict=True)
    )
    different = []
    for value, reference in expected.items():
        found = "invalid" if not is_calendar(value) else "occurs" if occurs(value, TODAY) else "never"
        wanted = reference if reference in ("invalid", "never") else "occurs"
        if found != wanted:
            different.append(f"{value}: found {found}, systemd reports {reference}")
    assert different == []
    valid = len(values) - len(rejected)
    assert len(values) / 4 < valid < len(values), f"found {valid} valid of {len(values)} values"


@needs_systemd
@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("*/5 * * * *", "*:0/5"),
        ("* * * * *", "*:*"),
        ("30 2 * * *", "02:30"),
        ("0 9-17 * * 1-5", "Mon..Fri 9..17:00"),
        ("5-59/10 * * * *", "*:5..59/10"),
        ("0 4 * * sun", "Sun 04:00"),
        ("0 4 * * 0,6", "Sun,Sat 04:00"),
        ("0 4 * * 7", "Sun 04:00"),
        ("0 12 */2 * *", "*-*-1/2 12:00"),
        ("15 3 1 jan,7 *", "*-1,7-1 03:15"),
        ("@daily", "daily"),
        ("@midnight", "daily"),
    ],
)
def test_cron_schedule_is_translated(cron: str, expected: str) -> None:
    assert from_cron(cron) == expected
    subprocess.run(["systemd-analyze", "calendar", "--", expected], check=True, capture_output=True)


@pytest.mark.parametrize(
    "text", ["0 0 1 * 1", "@reboot", "60 * * * *", "* * * *", "daily", "0 0 * * 8", "a b c d e", ""]
)
def test_text_without_translation_gives_none(text: str) -> None:
    assert from_cron(text) == ""


@pytest.mark.parametrize(
    ("text", "today", "expected"),
    [
        ("2028-02-29", "2028-02-29", True),
        ("2028-02-29", "2028-03-01", False),
        ("*-02-29", "2028-03-01", True),
        ("2026/4-02-29", "2026-01-01", False),
        ("Tue 2028-02-29", "2026-01-01", True),
        ("Mon 2028-02-29", "2026-01-01", False),
        ("2027-02~1", "2027-02-28", True),
        ("*-*~29", "2027-02-28", None),
        ("daily", "2150-01-01", True),
    ],
)
def test_calendar_of_the_past_never_occurs(text: str, today: str, expected: bool | None) -> None:
    found = occurs(text, datetime.date.fromisoformat(today)) if is_calendar(text) else None
    assert found == expected, f"{text} on {today}"
