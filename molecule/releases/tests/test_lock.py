"""The lock of a site excludes other runs, unless its run is dead."""

from __future__ import annotations

import json
import socket

import pytest

pytestmark = pytest.mark.usefixtures("restore_releases")

ADA = {
    "by": "ada@laptop",
    "machine": "laptop",
    "run": "1.2",
    "what": "deploy",
    "since": "2026-11-21T08:00:00+00:00",
}


@pytest.fixture
def lock_site(host):
    def lock(holder: dict[str, str]) -> None:
        with host.sudo():
            host.check_output("echo %s > /srv/harbour/lock.json", json.dumps(holder))

    yield lock
    with host.sudo():
        host.check_output("rm -f /srv/harbour/lock.json")


def test_deploy_of_a_locked_site_names_the_holder(run, source, live, lock_site):
    first = live()
    lock_site(ADA)
    source.touch()
    result = run("deploy.yml", "-e", "site=harbour")
    output = result.stdout + result.stderr
    assert result.returncode != 0, f"expected a failed run, got {output}"
    expected = "harbour: locked by ada@laptop since 2026-11-21T08:00:00+00:00 (deploy)"
    assert expected in output, f"expected {expected!r}, got {output}"
    assert "make unlock SITE=harbour" in output, f"expected the remedy, got {output}"
    assert live() == first, f"expected {first} to stay live, got {live()}"

    result = run("releases.yml")
    assert "locked by ada@laptop" in result.stdout, f"expected the lock, got {result.stdout}"
    assert run("unlock.yml", "-e", "site=harbour").returncode == 0
    result = run("deploy.yml", "-e", "site=harbour")
    assert result.returncode == 0, result.stdout + result.stderr
    assert live() != first, "expected a new release after the unlock"


def test_lock_of_a_dead_run_on_this_machine_is_ignored(run, source, live, lock_site):
    first = live()
    lock_site(ADA | {"machine": socket.gethostname(), "run": "999999999.1"})
    source.touch()
    result = run("deploy.yml", "-e", "site=harbour")
    output = result.stdout + result.stderr
    assert result.returncode == 0 and live() != first, output
    assert "was interrupted" in output, f"expected a warning, got {output}"


def test_log_has_a_line_for_each_release(host, run, source, live):
    source.touch()
    assert run("deploy.yml", "-e", "site=harbour").returncode == 0
    with host.sudo():
        line = host.check_output("tail -n 1 /var/log/decanter/harbour.log")
    assert f" live {live()} " in line and 'in="deploy"' in line, f"expected a line of the release, got {line}"
