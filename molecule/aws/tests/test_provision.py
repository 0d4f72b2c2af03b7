"""Provision an environment of each size. A second run changes nothing."""

from __future__ import annotations

import os
import signal
import time

from environment import SIZES, assert_equal, only_with


def test_provision_with_invalid_settings_sends_no_request(cloud):
    folder = cloud.inventory("small")
    path = folder / "group_vars/all/aws.yml"
    good = path.read_text()
    path.write_text(good.replace("eu-west-1", "Ireland").replace("size: small", "size: tiny"))
    log_size = (cloud.folder / "moto.log").stat().st_size
    run = cloud.begin("provision", "small").wait()
    path.write_text(good)
    assert run.process.returncode != 0, "expected a failed run"
    for line in ('aws.region: found "Ireland"', 'aws.size: found "tiny"'):
        assert line in run.output, f"expected {line}, got {run.output}"
    assert_equal("size of the stub's log", (cloud.folder / "moto.log").stat().st_size, log_size)


@only_with("small")
def test_provision_can_be_interrupted(cloud):
    """The next test completes the run."""
    run = cloud.begin("provision", "small")
    # The bucket is created in the middle of a run.
    while not cloud.client("s3").list_buckets()["Buckets"] and run.process.poll() is None:
        time.sleep(0.5)
    os.kill(cloud.server.pid, signal.SIGSTOP)
    run.process.terminate()
    run.wait()
    os.kill(cloud.server.pid, signal.SIGCONT)
    assert run.process.returncode != 0, f"expected an interrupted run, got\n{run.output[-3000:]}"


def test_second_provision_of_each_size_changes_nothing(cloud):
    for size, run in cloud.all_sizes("provision", SIZES).items():
        run.assert_success("created")
        assert "a month" in run.output and "create" in run.output, (
            f"{size}: expected a plan with prices, got {run.output}"
        )
    if "standard" in SIZES:
        # Only RESIZE=1 changes the type of an instance, because AWS stops the instance.
        path = cloud.inventory("standard") / "group_vars/all/aws.yml"
        path.write_text(path.read_text() + "  web: {type: t3.large}\n")
    for size, run in cloud.all_sizes("provision", SIZES).items():
        assert_equal(
            f"{size}: changed tasks of the second run", run.assert_success("unchanged").count("changed"), 0
        )
        notice = "t3.small; RESIZE=1 stops it and changes it to t3.large"
        assert_equal(f"{size}: the plan contains {notice!r}", notice in run.output, size == "standard")
