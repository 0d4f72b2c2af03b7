"""A deploy moves the process and the timer of a site to the new release."""

from __future__ import annotations

import shutil
import time

import pytest
from conftest import ROOT

pytestmark = pytest.mark.usefixtures("restore_releases")


@pytest.fixture
def jobs(tmp_path, play, sites):
    """Release the site `jobs` from a copy of its folder."""
    folder = tmp_path / "jobs"
    shutil.copytree(ROOT / "molecule/releases/jobs", folder, ignore=shutil.ignore_patterns("__pycache__"))

    def deploy(playbook: str = "deploy.yml", *arguments: str, **keys):
        site = sites["jobs"] | {"source": {"path": str(folder)}} | keys
        return play(playbook, sites | {"jobs": site}, *arguments)

    deploy.folder = folder
    return deploy


@pytest.fixture
def running_release(host):
    """Wait up to 30 s for a release, and return the ID of the release that the worker or timer runs."""

    def read(expected: str, file: str = "worker") -> str:
        # systemd starts a timer up to 15 s late.
        end = time.monotonic() + 30
        with host.sudo():
            while True:
                release = host.check_output("tail -n 1 /srv/jobs/shared/%s", file).rpartition("/")[2]
                if release == expected or time.monotonic() > end:
                    return release
                time.sleep(0.3)

    return read


def worker_units(host) -> list[str]:
    """Return the active units of the worker."""
    with host.sudo():
        output = host.check_output("systemctl list-units --plain --no-legend 'jobs.worker@*'")
    return [line.split()[0] for line in output.splitlines()]


def test_process_and_timer_run_the_new_release(host, jobs, live, running_release):
    (jobs.folder / "more.py").write_text("A = 1\n")
    result = jobs("deploy.yml", "-e", "site=jobs")
    assert result.returncode == 0, result.stdout + result.stderr
    new = live("jobs")
    assert running_release(new) == new, f"expected the worker to run {new}, got {running_release(new)}"
    assert running_release(new, "ticks") == new, (
        f"expected the timer's command in {new}, got {running_release(new, 'ticks')}"
    )
    assert worker_units(host) == [f"jobs.worker@{new}.service"], (
        f"expected one worker of {new}, got {worker_units(host)}"
    )
    with host.sudo():
        enabled = host.check_output(f"systemctl is-enabled jobs.worker@{new}.service jobs.tick@{new}.timer")
    assert set(enabled.split()) == {"enabled"}, f"expected both units to be enabled, got {enabled}"


def test_deploy_with_a_failing_process_restores_the_release(host, jobs, live, running_release):
    old = live("jobs")
    (jobs.folder / "worker.py").write_text("raise SystemExit('this worker cannot work')\n")
    result = jobs("deploy.yml", "-e", "site=jobs")
    output = result.stdout + result.stderr
    assert result.returncode != 0, f"expected a failed run, got {output}"
    assert "this worker cannot work" in output and "was put back" in output, output
    assert live("jobs") == old, f"expected {old} to be live again, got {live('jobs')}"
    with host.sudo():
        host.check_output("rm /srv/jobs/shared/worker; sleep 1")
    assert running_release(old) == old, f"expected the worker to run {old} again, got {running_release(old)}"
    assert worker_units(host) == [f"jobs.worker@{old}.service"], (
        f"expected one worker of {old}, got {worker_units(host)}"
    )


def test_removed_process_has_no_unit(host, jobs):
    result = jobs("site.yml", "--tags", "python_app,release", processes={})
    assert result.returncode == 0, result.stdout + result.stderr
    assert worker_units(host) == [], f"expected no worker, got {worker_units(host)}"
    assert not host.file("/etc/systemd/system/jobs.worker@.service").exists, "expected no unit file"
    result = jobs("site.yml", "--tags", "python_app,release")
    assert result.returncode == 0, result.stdout + result.stderr
    assert len(worker_units(host)) == 1, f"expected a worker, got {worker_units(host)}"
