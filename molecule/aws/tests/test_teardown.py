"""An environment is destroyed, and its backups are kept."""

from __future__ import annotations

import time

from environment import SIZES, counted, only_with, records, same


def test_a_teardown_is_refused_without_the_name(cloud):
    run = cloud.begin("teardown", SIZES[0], "-e", "confirm=another").end()
    assert run.process.returncode != 0 and "Nothing was destroyed" in " ".join(run.said.split()), run.said


@only_with("standard")
def test_a_teardown_may_be_cut_off_while_the_database_goes(cloud):
    """The next test finishes it."""

    def status() -> str:
        found = cloud.client("rds").describe_db_instances(DBInstanceIdentifier="decanter-standard")
        return found["DBInstances"][0]["DBInstanceStatus"]

    run = cloud.begin("teardown", "standard")
    while status() != "deleting" and run.process.poll() is None:
        time.sleep(0.5)
    run.process.terminate()
    run.end()
    assert run.process.returncode != 0, f"expected that it was cut off, got\n{run.said[-3000:]}"
    same("the database", status(), "deleting")


@only_with("standard")
def test_backups_are_kept(cloud):
    cloud.begin("teardown", "standard").end().succeeded("destroyed but backups")
    left = {
        what: [each for each in found if "decanter-standard" in each]
        for what, found in counted(cloud).items()
        if any("decanter-standard" in each for each in found)
    }
    (snapshot,) = left.pop("rds describe_db_snapshots", ["none"])
    assert snapshot.startswith("decanter-standard-2"), f"expected a last snapshot, got {snapshot}"
    kept = {
        "s3 list_buckets": ["decanter-standard-123456789012"],
        "kms list_aliases": ["alias/decanter-standard"],
    }
    same("what is kept", left, kept)


def test_nothing_is_left(cloud):
    if "scaled" in SIZES:
        # There is something in it, which what stands for AWS is asked for without TLS.
        cloud.client("s3").delete_bucket_policy(Bucket="decanter-scaled-123456789012")
    for _, run in cloud.all_sizes("teardown", SIZES, "-e", "keep=false").items():
        run.succeeded("destroyed")
    for size, run in cloud.all_sizes("teardown", SIZES, "-e", "keep=false").items():
        same(f"{size}: changed in a second run", run.succeeded("destroyed again").counted("changed"), 0)
        assert "nothing is there" in run.said, f"{size}: expected that nothing is left, got {run.said}"
        same(f"{size}: records", records(cloud, size), set())
    same("what is left", counted(cloud), cloud.empty)
