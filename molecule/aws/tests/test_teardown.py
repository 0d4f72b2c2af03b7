"""Destroy an environment, with and without its backups."""

from __future__ import annotations

import time

from environment import SIZES, assert_equal, only_with, records, resources


def test_teardown_with_a_wrong_name_destroys_nothing(cloud):
    run = cloud.begin("teardown", SIZES[0], "-e", "confirm=another").wait()
    assert run.process.returncode != 0 and "Nothing was destroyed" in " ".join(run.output.split()), run.output


@only_with("standard")
def test_teardown_can_be_interrupted_while_rds_deletes(cloud):
    """The next test completes the teardown."""

    def status() -> str:
        found = cloud.client("rds").describe_db_instances(DBInstanceIdentifier="decanter-standard")
        return found["DBInstances"][0]["DBInstanceStatus"]

    run = cloud.begin("teardown", "standard")
    while status() != "deleting" and run.process.poll() is None:
        time.sleep(0.5)
    run.process.terminate()
    run.wait()
    assert run.process.returncode != 0, f"expected an interrupted run, got\n{run.output[-3000:]}"
    assert_equal("status of the database", status(), "deleting")


@only_with("standard")
def test_teardown_keeps_backups(cloud):
    cloud.begin("teardown", "standard").wait().assert_success("destroyed, backups kept")
    remaining = {
        listing: [each for each in found if "decanter-standard" in each]
        for listing, found in resources(cloud).items()
        if any("decanter-standard" in each for each in found)
    }
    (snapshot,) = remaining.pop("rds describe_db_snapshots", ["none"])
    assert snapshot.startswith("decanter-standard-2"), f"expected a final snapshot, got {snapshot}"
    expected = {
        "s3 list_buckets": ["decanter-standard-123456789012"],
        "kms list_aliases": ["alias/decanter-standard"],
    }
    assert_equal("remaining resources", remaining, expected)


def test_teardown_without_backups_leaves_nothing(cloud):
    if "scaled" in SIZES:
        # The bucket is not empty. Its policy denies requests without TLS, and the stub has no TLS.
        cloud.client("s3").delete_bucket_policy(Bucket="decanter-scaled-123456789012")
    for _, run in cloud.all_sizes("teardown", SIZES, "-e", "keep=false").items():
        run.assert_success("destroyed")
    for size, run in cloud.all_sizes("teardown", SIZES, "-e", "keep=false").items():
        assert_equal(
            f"{size}: changed tasks of the second run",
            run.assert_success("destroyed again").count("changed"),
            0,
        )
        assert "nothing is there" in run.output, f"{size}: expected an empty environment, got {run.output}"
        assert_equal(f"{size}: records", records(cloud, size), set())
    assert_equal("remaining resources", resources(cloud), cloud.empty)
