"""Deploys of good and broken releases lose no request under load."""

from __future__ import annotations

import json
import re
import time

import pytest
from conftest import HEAD, ROOT

pytestmark = pytest.mark.usefixtures("restore_releases")

REQUESTS = 30_000
DEPLOYS = 13

EXITS_AT_START = """
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
UNHEALTHY_WHEN_LIVE = """

@bp.before_app_request
def broken() -> tuple[str, int] | None:
    import time
    from pathlib import Path

    from flask import request

    if request.path != "/readyz":
        return None
    first = Path("/tmp/first")  # in the private /tmp of the unit, which its workers share
    if not first.exists():
        first.touch()
    return ("this release is unhealthy", 503) if time.time() > first.stat().st_mtime + 0.5 else None
"""
BAD_MIGRATION = f"""
revision = "bad"
down_revision = "{HEAD}"


def upgrade() -> None:
    raise RuntimeError("this migration is broken")
"""
# Each kind of a broken release: a file and the text to append, and the expected output.
BROKEN = {
    "cannot be installed": (
        ("requirements.txt", "\nno-such-package-of-anybody==1.0\n"),
        "no-such-package-of-anybody==1.0 does not exist in the package index",
    ),
    "cannot be imported": (
        ("harbour/__init__.py", "\nraise RuntimeError('cannot import')\n"),
        "cannot import",
    ),
    "exits at start": (("harbour/__init__.py", EXITS_AT_START), "did not go live"),
    "never becomes healthy": (("harbour/health.py", NEVER_HEALTHY), "this release is never ready"),
    "becomes unhealthy when it is live": (("harbour/health.py", UNHEALTHY_WHEN_LIVE), "was put back"),
    "has a migration that fails": (
        ("migrations/versions/bad.py", BAD_MIGRATION),
        "this migration is broken",
    ),
}


def test_deploys_under_load_lose_no_request(host, load_generator, source, run, live, sql, record_property):
    """Deploy good releases and one of each broken kind, and roll back, under a steady load."""
    good, runs = [live()], {}
    unhealthy: set[str] = set()  # responses may come from these, too
    with load_generator() as load:
        for number in range(DEPLOYS):
            source.touch()
            if number == DEPLOYS // 2:  # needs a new environment
                source.add("requirements.txt", "# another environment\n")
            result = run("deploy.yml", "-e", "site=harbour")
            assert result.returncode == 0, result.stdout + result.stderr
            good.append(live())
        environments = {host_environment(host, identifier) for identifier in good[-4:]}
        assert len(environments) == 1, (
            f"expected code-only deploys to share an environment, got {environments}"
        )

        for kind, ((path, text), _) in BROKEN.items():
            before = (source.folder / path).read_text() if (source.folder / path).exists() else None
            source.write(path, (before or "") + text)
            result = run("deploy.yml", "-e", "site=harbour", health={"path": "/readyz", "timeout": 6})
            runs[kind] = (result, live(), newest(host))
            if before is None:
                (source.folder / path).unlink()
            else:
                source.write(path, before)
            if kind == "becomes unhealthy when it is live":
                unhealthy.add(newest(host)["id"])

        result = run("rollback.yml", "-e", "site=harbour")
        assert result.returncode == 0, result.stdout + result.stderr
        rollback_target = live()
        while len(load.results) < REQUESTS:
            time.sleep(1)

    for kind, (result, still, record) in runs.items():
        output = result.stdout + result.stderr
        assert result.returncode != 0, f"release that {kind}: expected a failed run, got {output}"
        assert BROKEN[kind][1] in output, f"release that {kind}: expected {BROKEN[kind][1]!r}, got {output}"
        assert still == good[-1], f"release that {kind}: expected {good[-1]} to stay live, got {still}"
        assert record["state"] == "failed", f"release that {kind}: expected the state failed, got {record}"
    assert rollback_target == good[-2], f"expected a rollback to {good[-2]}, got {rollback_target}"

    results = load.results
    assert not load.lost, f"expected no lost request of {len(results)}, got {load.lost[:5]}"
    unexpected = [result for result in results if result.server not in {*good, *unhealthy}]
    assert not unexpected, f"expected responses of releases that were live, got {unexpected[:5]}"
    posted = {result.posted for result in results if result.posted}
    share = len(posted) / len(results)
    assert 0.3 < share < 0.36, f"expected a third of the requests to post, got {share:.2f}"
    stored = listings(load, sql)
    missing = posted - stored.keys()
    doubled = {title: count for title, count in stored.items() if count != "1"}
    assert not missing and not doubled and len(stored) == len(posted), (
        f"expected each of {len(posted)} listings once, got {len(missing)} missing, {doubled} doubled"
    )
    latencies = sorted(result.received - result.sent for result in results)
    report = {
        "requests": len(results),
        "posts": len(posted),
        "failed": len(load.lost),
        "deploys": len(good) - 1,
        "p99 ms": round(latencies[int(len(latencies) * 0.99)] * 1000),
    }
    print("\n", report)
    (ROOT / ".lab").mkdir(exist_ok=True)
    (ROOT / ".lab/releases-under-load.json").write_text(json.dumps(report))


def host_environment(host, identifier: str) -> str:
    with host.sudo():
        return host.check_output("readlink /srv/harbour/releases/%s/.venv", identifier)


def newest(host) -> dict:
    """Return the record of the newest release on the host."""
    with host.sudo():
        names = host.check_output("ls /srv/harbour/releases").split()
        last = max(name for name in names if re.fullmatch(r"[0-9TZ]+-\w+\.json", name))
        return json.loads(host.check_output("cat /srv/harbour/releases/%s", last))


@pytest.mark.alone
def test_killed_worker_loses_only_posts_in_flight(host, load_generator, sql):
    unit = f"harbour@{live_instance(host)}.service"
    with load_generator(rate=60) as load:
        with host.sudo():
            main = host.check_output("systemctl show --property=MainPID --value %s", unit)
            worker = host.check_output("pgrep --parent %s", main).split()[0]
            host.check_output("kill -9 %s", worker)
        killed = time.time()
        time.sleep(5)
    in_flight = [result for result in load.lost if result.sent <= killed <= result.received + 0.1]
    assert load.lost == in_flight, f"expected only requests in flight to fail, got {load.lost}"
    lost_reads = [result for result in load.lost if not result.posted]
    assert not lost_reads, f"expected nginx to repeat idempotent requests, got {lost_reads}"
    assert_stored_once(load, sql)


@pytest.mark.alone
def test_requests_wait_for_a_killed_gunicorn_master(host, load_generator, sql):
    unit = f"harbour@{live_instance(host)}.service"
    with load_generator(rate=60) as load:
        with host.sudo():
            host.check_output("systemctl kill --kill-who=main --signal=KILL %s", unit)
        killed = time.time()
        time.sleep(6)
    lost = [result for result in load.lost if result.sent > killed + 0.2]
    assert not lost, f"expected requests to wait for the new master, got {lost}"
    lost_reads = [result for result in load.lost if not result.posted]
    assert not lost_reads, f"expected nginx to repeat idempotent requests, got {lost_reads}"
    first = min(a.received for a in load.results if a.good and a.sent > killed + 0.2)
    assert first - killed < 3, f"expected the application back within 3 s, got {first - killed:.1f}"
    assert_stored_once(load, sql)


def listings(load, sql) -> dict[str, str]:
    """Return the titles that the load generator posted, with their number in the database."""
    query = f"SELECT title, COUNT(*) FROM listings WHERE title LIKE '{load.mark}-%' GROUP BY title"
    return dict(line.split("\t") for line in sql("harbour", query).splitlines())


def live_instance(host) -> str:
    with host.sudo():
        return host.check_output("basename $(readlink /run/decanter/harbour/live.sock) .sock")


def assert_stored_once(load, sql) -> None:
    """Raise if an accepted listing is missing, or if any listing is stored twice."""
    stored = listings(load, sql)
    accepted = {result.posted for result in load.results if result.posted and result.good}
    assert accepted <= stored.keys(), (
        f"expected every accepted listing, got {accepted - stored.keys()} missing"
    )
    doubled = {title for title, count in stored.items() if count != "1"}
    assert not doubled, f"expected no listing twice, got {doubled}"
