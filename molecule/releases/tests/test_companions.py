"""What runs beside a web application moves with it."""

from __future__ import annotations

import shutil
import time

import pytest
from conftest import ROOT

pytestmark = pytest.mark.usefixtures("back")


@pytest.fixture
def jobs(tmp_path, play, sites):
    """Release the site `jobs` from a folder that may be changed."""
    folder = tmp_path / "jobs"
    shutil.copytree(ROOT / "molecule/releases/jobs", folder, ignore=shutil.ignore_patterns("__pycache__"))

    def deploy(playbook: str = "deploy.yml", *arguments: str, **keys):
        site = sites["jobs"] | {"source": {"path": str(folder)}} | keys
        return play(playbook, sites | {"jobs": site}, *arguments)

    deploy.folder = folder
    return deploy


@pytest.fixture
def runs(host):
    """The release that the worker says it runs, once it is this one; or what it says after 30 s."""

    def ask(wanted: str, file: str = "worker") -> str:
        # A timer starts within 15 seconds of its time.
        end = time.monotonic() + 30
        with host.sudo():
            while True:
                said = host.check_output("tail -n 1 /srv/jobs/shared/%s", file).rpartition("/")[2]
                if said == wanted or time.monotonic() > end:
                    return said
                time.sleep(0.3)

    return ask


def units(host) -> list[str]:
    """The workers that run."""
    with host.sudo():
        told = host.check_output("systemctl list-units --plain --no-legend 'jobs.worker@*'")
    return [line.split()[0] for line in told.splitlines()]


def test_a_process_and_a_timer_move_to_the_new_release(host, jobs, live, runs):
    (jobs.folder / "more.py").write_text("A = 1\n")
    finished = jobs("deploy.yml", "-e", "site=jobs")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    new = live("jobs")
    assert runs(new) == new, f"expected the worker to run {new}, got {runs(new)}"
    assert runs(new, "ticks") == new, f"expected the timer's command in {new}, got {runs(new, 'ticks')}"
    assert units(host) == [f"jobs.worker@{new}.service"], f"expected one worker of {new}, got {units(host)}"
    with host.sudo():
        enabled = host.check_output(f"systemctl is-enabled jobs.worker@{new}.service jobs.tick@{new}.timer")
    assert set(enabled.split()) == {"enabled"}, f"expected both to come back after a reboot, got {enabled}"


def test_a_process_that_ends_takes_its_release_back(host, jobs, live, runs):
    old = live("jobs")
    (jobs.folder / "worker.py").write_text("raise SystemExit('this worker cannot work')\n")
    finished = jobs("deploy.yml", "-e", "site=jobs")
    output = finished.stdout + finished.stderr
    assert finished.returncode != 0, f"expected a failed run, got {output}"
    assert "this worker cannot work" in output and "was put back" in output, output
    assert live("jobs") == old, f"expected {old} to be live again, got {live('jobs')}"
    with host.sudo():
        host.check_output("rm /srv/jobs/shared/worker; sleep 1")
    assert runs(old) == old, f"expected the worker of {old} to be back, got {runs(old)}"
    assert units(host) == [f"jobs.worker@{old}.service"], f"expected one worker of {old}, got {units(host)}"


def test_a_process_that_is_no_longer_wanted_is_gone(host, jobs):
    finished = jobs("site.yml", "--tags", "python_app,release", processes={})
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert units(host) == [], f"expected no worker, got {units(host)}"
    assert not host.file("/etc/systemd/system/jobs.worker@.service").exists, "expected its unit to be gone"
    finished = jobs("site.yml", "--tags", "python_app,release")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert len(units(host)) == 1, f"expected a worker, got {units(host)}"
