"""A failure of one site does not affect other sites. All modules are stubs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from release_runs import (
    NEW,
    OLD,
    ROLLBACK,
    SITES,
    WEB,
    Run,
    assert_blog_is_live,
    assert_result,
    failed,
    runner,
)
from resolved_site import resolved


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Run]:
    return runner(tmp_path)


def test_run_without_failure_prints_no_table(run):
    done = run({})
    assert done.status == 0, done.output
    for site in SITES:
        assert done.hosts("release_migrate", site) == ["web1"], done.calls
        assert done.hosts("release_switch", site) == list(WEB), done.calls
        assert sorted(done.hosts("finish", site)) == list(WEB), done.calls
        assert done.hosts("unlock", site) == done.hosts("release_withdraw", site) == [], done.calls
    assert done.table() == [], f"expected no table, got {done.output}"


@pytest.mark.parametrize("step", ["site_credentials", "read", "lock", "build"])
def test_failure_before_migration_activates_no_release(run, step):
    sites = [resolved(name, secrets={"KEY": "ssm:/key"}, migrate="true") for name in SITES]
    done = run({f"web2 {step} shop": failed("it cannot be read")}, release_sites=sites)
    assert_blog_is_live(done)
    assert done.hosts("release_migrate") == done.hosts("release_switch") == [], done.calls
    assert_result(done, web1="unchanged", web2="failed: it cannot be read", web3="unchanged")
    assert sorted(done.hosts("unlock")) == sorted(
        set(done.hosts("lock")) - {"web2" if step == "lock" else ""}
    )
    assert done.output.count("the log of it") == 1, f"expected the log once, got {done.output}"


@pytest.mark.parametrize("step", ["release_migrate", "release_setup"])
def test_failed_migration_activates_no_release(run, step):
    done = run({f"web1 {step} shop": failed("it is broken")})
    assert_blog_is_live(done)
    assert done.hosts("release_switch") == [], done.calls
    assert_result(done, web1="failed: it is broken", web2="unchanged", web3="unchanged")
    # All hosts withdraw the release, because the next run must not find it on some of them.
    assert sorted(done.hosts("release_withdraw")) == sorted(done.hosts("unlock")) == list(WEB), done.calls


def test_failure_on_second_host_switches_back_first_host(run):
    returned = {"changed": True, "returned": True, "live": OLD}
    done = run(
        {"web2 release_switch shop": failed("it was not healthy"), "web1 release_withdraw shop": returned}
    )
    assert_blog_is_live(done)
    assert done.hosts("release_switch") == ["web1", "web2"], f"expected no later batch, got {done.calls}"
    assert sorted(done.hosts("release_withdraw")) == list(WEB), done.calls
    assert_result(
        done, web1=f"unchanged: switched back to {OLD}", web2="failed: it was not healthy", web3="unchanged"
    )


def test_site_that_cannot_switch_back_is_reported(run):
    kept = {"live": NEW, "kept": "nothing was live before"}
    done = run({"web2 release_switch shop": failed("it ended"), "web1 release_withdraw shop": kept})
    assert_blog_is_live(done)
    expected = f"live {NEW}, not switched back: nothing was live before"
    assert_result(done, web1=expected, web2="failed: it ended", web3="unchanged")


def test_failed_switch_back_is_reported_on_its_host(run):
    results = {
        "web2 release_switch shop": failed("it ended"),
        "web1 release_withdraw shop": failed("it stays"),
    }
    done = run(results)
    assert_blog_is_live(done)
    assert_result(done, web1="failed: it stays", web2="failed: it ended", web3="unchanged")


def test_failure_of_every_site_keeps_hosts_in_balancer(run):
    results = {f"web1 build {site}": failed("no") for site in SITES}
    done = run(results, release_balanced=True, balancer_kind="haproxy", balancer_instances=["lb"])
    assert done.status != 0 and "Failed sites: blog, shop." in done.output, done.output
    assert not {"out", "in", "release_switch"} & {step for _, step, _ in done.calls}, done.calls


def test_host_without_live_release_rejoins_without_health_check(run):
    ended = failed("it ended") | {"live": ""}
    results = {f"{host} release_switch {site}": ended for host in WEB for site in SITES}
    done = run(results, release_balanced=True, balancer_kind="haproxy", balancer_instances=["lb"])
    assert ["web1", "in", ""] in done.calls, (
        f"expected web1 in the balancer without a health check, got {done.calls}"
    )
    assert_result(done, web1="failed: it ended", web2="unchanged", web3="unchanged")


def test_failed_rollback_on_second_host_switches_back_first_host(run):
    returned = {"changed": True, "returned": True, "live": NEW}
    results = {"web2 release_switch shop": failed("it ended"), "web1 release_withdraw shop": returned}
    sites = [resolved("shop")]
    done = run(results, play=ROLLBACK, release_sites=sites)
    assert done.status != 0 and "Failed sites: shop." in done.output, done.output
    assert done.hosts("release_switch") == ["web1", "web2"], done.calls
    assert_result(done, web1=f"unchanged: switched back to {NEW}", web2="failed: it ended", web3="unchanged")
    assert sorted(done.hosts("unlock")) == list(WEB), done.calls


def test_rollback_of_locked_site_releases_its_locks(run):
    sites = [resolved("shop")]
    done = run({"web2 lock shop": failed("ada works on it")}, play=ROLLBACK, release_sites=sites)
    assert done.status != 0 and "ada works on it" in done.output, done.output
    assert {"web1", "web3"} <= set(done.hosts("unlock")), done.calls
    assert done.hosts("release_switch") == [], done.calls
