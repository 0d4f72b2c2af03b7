"""The commands of a site: migrations, setup, processes and timers."""

from __future__ import annotations

import json

import pytest
from ansible_collections.decanter.stack.plugins.filter import sites_check
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.yaml_traps import BLOCK, BOOLEAN
from sites_examples import changed, minimal
from sites_tables import accepted, rejected, rows

CALENDARS = ("hourly", "Mon..Fri 06:30", "*:*:0/5", "*-*-01 04:00:00 UTC", "Sun *-*~7", "00/2:30", "*-02-29")
VALID = [
    ("migrate", "sh -c 'a\tb && ü'"),
    ("processes", {"a": "b", "x" * 16: "sh -c 'a | b'"}),
    *(("timers", {"a": {"command": "b", "calendar": when}}) for when in CALENDARS),
]
test_valid_value_is_accepted = accepted(VALID)

COMMAND = "a command on one line, such as flask db upgrade"
PROCESSES = "a dictionary of commands, such as {worker: python -m worker}"
TIMER = "a dictionary such as {command: flask digest, calendar: daily}"
TIMERS = "a dictionary such as {digest: {command: flask digest, calendar: daily}}"
COMPANION_COMMAND = "a command on one line, such as flask digest"

CALENDAR = 'a time in the syntax of systemd, such as daily or "Mon 06:30"'
LONG = "x" * 100
INVALID = [
    *rows("migrate", COMMAND, ("", "an empty string"), "  ", "a\nb", (f"{LONG}\nb", f'"{LONG[:59]}…"')),
    *rows("migration_check", "a command on one line", "a\nb"),
    *rows("setup", "a list of commands", "flask seed"),
    *rows("setup[0]", f"a command on one line, such as flask seed; {BLOCK}", ["a\n"], at="setup"),
    *rows("processes", PROCESSES, (["python -m worker"], "a list")),
    *rows(
        "processes.a",
        "a command on one line, such as python -m worker",
        ("", "an empty string"),
        "a\nb",
        ({"command": "a"}, "a dictionary"),
    ),
    *rows("timers", TIMERS, ("daily", "a string")),
    *rows("timers.a", TIMER, ("flask digest", "a string")),
    *rows("timers.a.command", COMPANION_COMMAND, ({"calendar": "daily"}, "nothing"), at="timers.a"),
    *rows("timers.a.calendar", CALENDAR, ({"command": "flask digest"}, "nothing"), at="timers.a"),
    *rows(
        "timers.a.at",
        "one of: calendar, command, on",
        ({"command": "x", "calendar": "daily", "at": "one"}, "an unknown key"),
        at="timers.a",
    ),
    *rows(
        "timers.a.on",
        "one of: one, all",
        {"command": "x", "calendar": "daily", "on": "two"},
        ({"command": "x", "calendar": "daily", True: "two"}, '"two"'),
        at="timers.a",
    ),
    *rows("timers.a.command", COMPANION_COMMAND, {"command": "a\nb", "calendar": "daily"}, at="timers.a"),
    *rows(
        "timers.a.calendar",
        CALENDAR,
        ({"command": "x", "calendar": ""}, "an empty string"),
        *(
            {"command": "x", "calendar": when}
            for when in (
                *(
                    "daily\nUnit=x.service",
                    "daily; reboot",
                    "-1",
                    "%H:00",
                    "every 5 minutes",
                    "25:00",
                    "24:00",
                ),
                *("10:00 Mars/Base", "10:00 US/Pacific", "Fri..Mon", "*/5", "0 0 1 * 1"),
            )
        ),
        at="timers.a",
    ),
    *(
        row
        for number, clock in ((5, "0:05"), (990, "16:30"), (59415, "16:30"))
        for row in rows(
            "timers.a.calendar",
            f"{CALENDAR}; YAML reads {clock} without quotes as the number {number}",
            {"command": "x", "calendar": number},
            at="timers.a",
        )
    ),
    *(
        row
        for cron, calendar in (
            ("*/5 * * * *", "*:0/5"),
            ("30 2 * * 1-5", "Mon..Fri 02:30"),
            ("@daily", "daily"),
        )
        for row in rows(
            "timers.a.calendar",
            f'"{calendar}", the same times in the syntax of systemd',
            {"command": "x", "calendar": cron},
            at="timers.a",
        )
    ),
    *rows(
        "timers.a.calendar",
        "a time in the future; this one never occurs",
        *(
            {"command": "x", "calendar": when}
            for when in ("2020-02-30", "2020-01-01 06:00", "*-02-30", "*-04,06-31")
        ),
        at="timers.a",
    ),
    *rows("migrate", f"{COMMAND}; {BLOCK}", "flask db upgrade\n"),
    *rows("migrate", f"{COMMAND}; {BOOLEAN}", False),
    *rows("migrate", "your own value", ("flask changeme", 'the placeholder "flask changeme"')),
]
test_invalid_value_is_rejected = rejected(INVALID)

COMPANION = "1 to 16 lower-case letters, digits and hyphens, a letter first"


@pytest.mark.parametrize("kind", ["processes", "timers"])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("task", "another name, because Decanter uses task"),
        *((name, COMPANION) for name in ("Worker", "a_b", "a.b", "a-", "1a", "", "a" * 17)),
    ],
)
def test_process_or_timer_with_invalid_name_is_rejected(
    kind: str, name: str, expected: str, root: str
) -> None:
    command = {"processes": "x", "timers": {"command": "x", "calendar": "daily"}}[kind]
    [line] = sites_check.site_errors(changed(minimal(), kind, {name: command}), root)
    assert line.startswith(f"sites.harbour.{kind}"), line
    assert line.endswith(f": found the name {json.dumps(name)}, expected {expected}"), line


def test_timer_with_the_name_of_a_process_is_rejected(root: str) -> None:
    sites = changed(minimal(), "processes", {"a": "x", "b": "x"})
    sites = changed(sites, "timers", {"b": {"command": "x", "calendar": "daily"}})
    assert sites_check.site_errors(sites, root) == [
        'sites.harbour.timers.b: found the name "b", expected a name that no process has'
    ]
