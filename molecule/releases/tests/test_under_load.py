"""The promise: releases, good and broken, cost nobody a request."""

from __future__ import annotations

import json
import re
import time

import pytest
from conftest import HEAD, ROOT

pytestmark = pytest.mark.usefixtures("back")

REQUESTS = 30_000
DEPLOYS = 13

ENDS = """
import os
import sys

if "gunicorn" in sys.modules:
    os._exit(3)
"""
NEVER_HEALTHY = """

@bp.before_app_request
def broken() -> tuple[str, int] | None:
    from flask import request

    return ("this release is never ready", 503) if request.path == "/readyz" else None
"""
ILL_WHEN_LIVE = """

@bp.before_app_request
def broken() -> tuple[str, int] | None:
    import time
    from pathlib import Path

    from flask import request

    if request.path != "/readyz":
        return None
    first = Path("/tmp/first")  # of this unit alone, shared by its workers
    if not first.exists():
        first.touch()
    return ("this release has fallen ill", 503) if time.time() > first.stat().st_mtime + 0.5 else None
"""
BAD_MIGRATION = f"""
revision = "bad"
down_revision = "{HEAD}"


def upgrade() -> None:
    raise RuntimeError("this migration is broken")
"""
# What is done to the source, and what the run says then.
BROKEN = {
    "cannot be installed": (
        ("requirements.txt", "\nno-such-package-of-anybody==1.0\n"),
        "no-such-package-of-anybody==1.0 does not exist in the package index",
    ),
    "cannot be imported": (
        ("harbour/__init__.py", "\nraise RuntimeError('cannot import')\n"),
        "cannot import",
    ),
    "ends when it starts": (("harbour/__init__.py", ENDS), "did not go live"),
    "never becomes healthy": (("harbour/health.py", NEVER_HEALTHY), "this release is never ready"),
    "falls ill when it is live": (("harbour/health.py", ILL_WHEN_LIVE), "was put back"),
    "has a migration that fails": (
        ("migrations/versions/bad.py", BAD_MIGRATION),
        "this migration is broken",
    ),
}


def test_releases_cost_nobody_a_request(host, visitors, source, run, live, sql, record_property):
    """At least 13 deploys, a broken one of each kind, and a way back, under a steady load."""
    good, told = [live()], {}
    seen: set[str] = set()  # the id of one that fell ill may have answered
    with visitors() as crowd:
        for number in range(DEPLOYS):
            source.touch()
            if number == DEPLOYS // 2:  # not only code: an environment of its own
                source.add("requirements.txt", "# another environment\n")
            finished = run("deploy.yml", "-e", "site=harbour")
            assert finished.returncode == 0, finished.stdout + finished.stderr
            good.append(live())
        environments = {host_environment(host, identifier) for identifier in good[-4:]}
        assert len(environments) == 1, (
            f"expected code-only deploys to share an environment, got {environments}"
        )

        for kind, ((path, text), _) in BROKEN.items():
            before = (source.folder / path).read_text() if (source.folder / path).exists() else None
            source.write(path, (before or "") + text)
            finished = run("deploy.yml", "-e", "site=harbour", health={"path": "/readyz", "timeout": 6})
            told[kind] = (finished, live(), newest(host))
            if before is None:
                (source.folder / path).unlink()
            else:
                source.write(path, before)
            if kind == "falls ill when it is live":
                seen.add(newest(host)["id"])

        finished = run("rollback.yml", "-e", "site=harbour")
        assert finished.returncode == 0, finished.stdout + finished.stderr
        gone_back = live()
        while len(crowd.answers) < REQUESTS:
            time.sleep(1)

    for kind, (finished, still, record) in told.items():
        output = finished.stdout + finished.stderr
        assert finished.returncode != 0, f"one that {kind}: expected a failed run, got {output}"
        assert BROKEN[kind][1] in output, f"one that {kind}: expected {BROKEN[kind][1]!r}, got {output}"
        assert still == good[-1], f"one that {kind}: expected {good[-1]} to stay live, got {still}"
        assert record["state"] == "failed", f"one that {kind}: expected it to be marked, got {record}"
    assert gone_back == good[-2], f"expected the rollback to go to {good[-2]}, got {gone_back}"

    answers = crowd.answers
    assert not crowd.lost, f"expected none of {len(answers)} requests to fail, got {crowd.lost[:5]}"
    strange = [answer for answer in answers if answer.by not in {*good, *seen}]
    assert not strange, f"expected answers of releases that went live, got {strange[:5]}"
    posted = {answer.posted for answer in answers if answer.posted}
    share = len(posted) / len(answers)
    assert 0.3 < share < 0.36, f"expected a third of the requests to post, got {share:.2f}"
    stored = listings(crowd, sql)
    missing = posted - stored.keys()
    doubled = {title: count for title, count in stored.items() if count != "1"}
    assert not missing and not doubled and len(stored) == len(posted), (
        f"expected each of {len(posted)} listings once, got {len(missing)} missing, {doubled} doubled"
    )
    slowest = sorted(answer.answered - answer.asked for answer in answers)
    report = {
        "requests": len(answers),
        "posts": len(posted),
        "failed": len(crowd.lost),
        "deploys": len(good) - 1,
        "p99 ms": round(slowest[int(len(slowest) * 0.99)] * 1000),
    }
    print("\n", report)
    (ROOT / ".lab").mkdir(exist_ok=True)
    (ROOT / ".lab/releases-under-load.json").write_text(json.dumps(report))


def host_environment(host, identifier: str) -> str:
    with host.sudo():
        return host.check_output("readlink /srv/harbour/releases/%s/.venv", identifier)


def newest(host) -> dict:
    """What the host knows of the release that was made last."""
    with host.sudo():
        names = host.check_output("ls /srv/harbour/releases").split()
        last = max(name for name in names if re.fullmatch(r"[0-9TZ]+-\w+\.json", name))
        return json.loads(host.check_output("cat /srv/harbour/releases/%s", last))


@pytest.mark.alone
def test_a_killed_worker_costs_what_was_in_flight_there(host, visitors, sql):
    unit = f"harbour@{colour(host)}.service"
    with visitors(rate=60) as crowd:
        with host.sudo():
            main = host.check_output("systemctl show --property=MainPID --value %s", unit)
            worker = host.check_output("pgrep --parent %s", main).split()[0]
            host.check_output("kill -9 %s", worker)
        killed = time.time()
        time.sleep(5)
    in_flight = [answer for answer in crowd.lost if answer.asked <= killed <= answer.answered + 0.1]
    assert crowd.lost == in_flight, f"expected only requests in flight to fail, got {crowd.lost}"
    wrong = [answer for answer in crowd.lost if not answer.posted]
    assert not wrong, f"expected nginx to ask again for what may be asked twice, got {wrong}"
    each_once(crowd, sql)


@pytest.mark.alone
def test_a_killed_master_is_back_and_requests_wait(host, visitors, sql):
    unit = f"harbour@{colour(host)}.service"
    with visitors(rate=60) as crowd:
        with host.sudo():
            host.check_output("systemctl kill --kill-who=main --signal=KILL %s", unit)
        killed = time.time()
        time.sleep(6)
    lost = [answer for answer in crowd.lost if answer.asked > killed + 0.2]
    assert not lost, f"expected requests to wait for the new master, got {lost}"
    wrong = [answer for answer in crowd.lost if not answer.posted]
    assert not wrong, f"expected nginx to ask again for what may be asked twice, got {wrong}"
    first = min(a.answered for a in crowd.answers if a.good and a.asked > killed + 0.2)
    assert first - killed < 3, f"expected the application back within 3 s, got {first - killed:.1f}"
    each_once(crowd, sql)


def listings(crowd, sql) -> dict[str, str]:
    """What visitors have posted, and how often it is there."""
    query = f"SELECT title, COUNT(*) FROM listings WHERE title LIKE '{crowd.mark}-%' GROUP BY title"
    return dict(line.split("\t") for line in sql("harbour", query).splitlines())


def colour(host) -> str:
    with host.sudo():
        return host.check_output("basename $(readlink /run/decanter/harbour/live.sock) .sock")


def each_once(crowd, sql) -> None:
    """What was acknowledged is there once; what was not is there once or not at all."""
    stored = listings(crowd, sql)
    accepted = {answer.posted for answer in crowd.answers if answer.posted and answer.good}
    assert accepted <= stored.keys(), (
        f"expected every accepted listing, got {accepted - stored.keys()} missing"
    )
    doubled = {title for title, count in stored.items() if count != "1"}
    assert not doubled, f"expected no listing twice, got {doubled}"
