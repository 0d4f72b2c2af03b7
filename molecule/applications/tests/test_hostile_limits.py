"""Limits of a build: time, disk, memory and processes, each exceeded by a requirement."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from hostile_site import Hostile

SECONDS, DISK, MEMORY, TASKS = 45, 150, 700, 100


@pytest.fixture
def limited(hostile: Hostile) -> Iterator[Hostile]:
    """Return the site with small build limits, which apply to this site only."""
    with hostile.host.sudo():
        limits = hostile.host.check_output("cat /etc/decanter/hostile/build.conf")
    if f"RuntimeMaxSec={SECONDS}\n" not in limits:
        hostile.configure(seconds=SECONDS, disk_mb=DISK, memory_mb=MEMORY, tasks=TASKS)
    return hostile


def test_build_without_an_end_is_stopped_at_its_time_limit(limited: Hostile):
    start = time.monotonic()
    result = limited.deploy("endless")
    duration = time.monotonic() - start
    assert result.code != 0, result.output
    assert result.fault.startswith(f"the build took too long (limit {SECONDS} s)"), result.fault
    assert duration < SECONDS + 60, f"expected the end within a minute of the limit, got {duration:.0f} s"


@pytest.mark.parametrize(
    ("place", "method"),
    [
        ("environment", "small"),
        ("tree", "large"),
        ("tmp", "large"),
        ("cache", "large"),
    ],
)
def test_build_that_fills_the_disk_is_stopped(limited: Hostile, place: str, method: str):
    # Earlier builds may have filled the cache up to the limit.
    megabytes = 3 * DISK if place == "cache" else 2 * DISK
    result = limited.deploy("fill", place=place, method=method, megabytes=megabytes)
    assert result.code != 0, result.output
    assert result.fault.startswith(f"the build wrote more than {DISK}M"), result.fault
    with limited.host.sudo():
        size = int(limited.host.check_output("du -sm /var/cache/decanter/hostile | cut -f 1 || echo 0") or 0)
    assert size <= DISK, f"expected a cache of at most {DISK} MiB, got {size}"


def test_sparse_files_are_rejected_without_being_copied(limited: Hostile):
    result = limited.deploy("fill", place="environment", method="holes", megabytes=DISK - 10)
    assert result.code != 0 and f"found more than {DISK} MiB of files" in result.fault, result.output


def test_file_larger_than_the_limit_cannot_be_created(limited: Hostile):
    result = limited.deploy("sparse")
    assert result.code != 0 and "attack" in result.fault, result.output


def test_build_above_the_memory_limit_is_reported(limited: Hostile):
    # A lab host has no memory controller: LimitDATA= ends the process.
    result = limited.deploy("memory")
    assert result.code != 0 and "memory" in result.fault.split("Remedy")[0], result.output


def test_processes_of_a_build_are_limited_and_end_with_it(limited: Hostile):
    result = limited.deploy("forks", processes=2 * TASKS)
    with limited.host.sudo():
        controllers = limited.host.check_output("cat /sys/fs/cgroup/cgroup.controllers").split()
        limit = limited.host.check_output("grep ^TasksMax= /etc/decanter/hostile/build.conf")
    assert limit == f"TasksMax={TASKS}", f"expected the limit in the unit, got {limit}"
    assert result.code == 0, result.output
    started = limited.report()["started"]
    # Without the controller `pids`, as in a lab, the limit has no effect. All processes end with the build.
    expected = TASKS if "pids" in controllers else 2 * TASKS
    assert started <= expected, f"expected at most {expected} processes, got {started}"


def test_site_is_purged_with_its_build_user_and_cache(hostile: Hostile):
    hostile.pack("none")  # the validation of the inventory reads the source
    absent = hostile.sites | {"hostile": hostile.site(state="absent")}
    result = hostile.play("site.yml", absent, "--tags", "python_app,services,certbot,nginx,release")
    assert result.returncode == 0, result.stdout + result.stderr
    result = hostile.play("purge.yml", absent, "-e", "purge_site=hostile", "-e", "purge_confirm=hostile")
    assert result.returncode == 0, result.stdout + result.stderr
    with hostile.host.sudo():
        left = hostile.host.run("ls -d /srv/hostile /var/cache/decanter/hostile /etc/decanter/hostile").stdout
        user = hostile.host.run("getent passwd build_hostile").stdout
    assert not left + user, f"expected no folder or user of the site, got {left} {user}"
