"""Two at once: one works, the other is told; who is gone for good holds nobody up."""

from __future__ import annotations

import json
import socket

import pytest

pytestmark = pytest.mark.usefixtures("back")

ADA = {
    "by": "ada@laptop",
    "machine": "laptop",
    "run": "1.2",
    "what": "deploy",
    "since": "2026-11-21T08:00:00+00:00",
}


@pytest.fixture
def held(host):
    def hold(holder: dict[str, str]) -> None:
        with host.sudo():
            host.check_output("echo %s > /srv/harbour/lock.json", json.dumps(holder))

    yield hold
    with host.sudo():
        host.check_output("rm -f /srv/harbour/lock.json")


def test_a_second_deploy_is_told_who_works(run, source, live, held):
    first = live()
    held(ADA)
    source.touch()
    finished = run("deploy.yml", "-e", "site=harbour")
    output = finished.stdout + finished.stderr
    assert finished.returncode != 0, f"expected a refusal, got {output}"
    said = "harbour: locked by ada@laptop since 2026-11-21T08:00:00+00:00 (deploy)"
    assert said in output, f"expected {said!r}, got {output}"
    assert "make unlock SITE=harbour" in output, f"expected the way out, got {output}"
    assert live() == first, f"expected {first} to stay live, got {live()}"

    finished = run("releases.yml")
    assert "locked by ada@laptop" in finished.stdout, f"expected the lock, got {finished.stdout}"
    assert run("unlock.yml", "-e", "site=harbour").returncode == 0
    finished = run("deploy.yml", "-e", "site=harbour")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert live() != first, "expected a new release once nobody held the site"


def test_a_run_of_this_machine_that_is_gone_holds_nobody_up(run, source, live, held):
    first = live()
    held(ADA | {"machine": socket.gethostname(), "run": "999999999.1"})
    source.touch()
    finished = run("deploy.yml", "-e", "site=harbour")
    output = finished.stdout + finished.stderr
    assert finished.returncode == 0 and live() != first, output
    assert "was interrupted" in output, f"expected a warning, got {output}"


def test_the_log_tells_of_each_release(host, run, source, live):
    source.touch()
    assert run("deploy.yml", "-e", "site=harbour").returncode == 0
    with host.sudo():
        last = host.check_output("tail -n 1 /var/log/decanter/harbour.log")
    assert f" live {live()} " in last and 'in="deploy"' in last, f"expected a line of it, got {last}"
