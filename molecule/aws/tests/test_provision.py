"""Each size of an environment is provisioned, and a second run changes nothing."""

from __future__ import annotations

import os
import signal
import time

from environment import SIZES, only_with, same


def test_a_bad_dictionary_is_refused_before_the_first_call(cloud):
    folder = cloud.inventory("small")
    path = folder / "group_vars/all/aws.yml"
    good = path.read_text()
    path.write_text(good.replace("eu-west-1", "Ireland").replace("size: small", "size: tiny"))
    asked = (cloud.folder / "moto.log").stat().st_size
    run = cloud.begin("provision", "small").end()
    path.write_text(good)
    assert run.process.returncode != 0, "expected a refusal"
    for line in ('aws.region: found "Ireland"', 'aws.size: found "tiny"'):
        assert line in run.said, f"expected {line}, got {run.said}"
    same("requests", (cloud.folder / "moto.log").stat().st_size, asked)


@only_with("small")
def test_a_run_may_be_cut_off(cloud):
    """The next test finishes it, and finds nothing to do after that."""
    run = cloud.begin("provision", "small")
    # It is somewhere in the middle.
    while not cloud.client("s3").list_buckets()["Buckets"] and run.process.poll() is None:
        time.sleep(0.5)
    os.kill(cloud.server.pid, signal.SIGSTOP)
    run.process.terminate()
    run.end()
    os.kill(cloud.server.pid, signal.SIGCONT)
    assert run.process.returncode != 0, f"expected that it was cut off, got\n{run.said[-3000:]}"


def test_each_size_is_made_and_then_nothing_changes(cloud):
    for size, run in cloud.all_sizes("provision", SIZES).items():
        run.succeeded("made")
        assert "a month" in run.said and "create" in run.said, (
            f"{size}: expected a plan with prices, got {run.said}"
        )
    if "standard" in SIZES:
        # To change it would stop the host, which nobody has said.
        path = cloud.inventory("standard") / "group_vars/all/aws.yml"
        path.write_text(path.read_text() + "  web: {type: t3.large}\n")
    for size, run in cloud.all_sizes("provision", SIZES).items():
        same(f"{size}: changed in a second run", run.succeeded("nothing to do").counted("changed"), 0)
        left = "t3.small; RESIZE=1 stops it and changes it to t3.large"
        same(f"{size}: the plan says {left}", left in run.said, size == "standard")
