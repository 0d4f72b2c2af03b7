"""A lost host, or an error that no site causes, ends the run. All modules are stubs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from release_runs import NEW, SITES, WEB, Run, runner


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Run]:
    return runner(tmp_path)


def assert_ended_unlocked(done: Run, *left: str) -> None:
    """The run ended with an error, the remaining hosts hold no lock, and no release is finished."""
    assert done.status != 0, done.output
    for site in SITES:
        assert set(left) <= set(done.hosts("unlock", site)), (
            f"expected {left} to be unlocked, got {done.calls}"
        )
        assert done.hosts("finish", site) == [], done.calls


def test_host_lost_while_building_ends_run_before_migration(run):
    done = run({"web3 build blog": "unreachable"})
    assert_ended_unlocked(done, "web1", "web2")
    assert "web3: the host became unreachable or failed" in done.output, done.output
    assert done.hosts("release_migrate") == done.hosts("release_migrate", "blog") == [], done.calls


@pytest.mark.parametrize("host", WEB)
def test_host_lost_while_activating_ends_run_and_unlocks_others(run, host):
    done = run({f"{host} release_switch blog": "unreachable"})
    assert_ended_unlocked(done, *(other for other in WEB if other != host))
    switched = done.hosts("release_switch", "blog")
    assert switched == list(WEB[: WEB.index(host) + 1]), f"expected no later batch, got {switched}"


def test_host_lost_while_reading_ends_run(run):
    done = run({"web2 read blog": "unreachable"})
    assert done.status != 0 and "web2: the host became unreachable" in done.output, done.output
    assert not {"lock", "build"} & {step for _, step, _ in done.calls}, done.calls


def test_failed_drain_ends_run_and_unlocks_all(run):
    balanced = {"release_balanced": True, "balancer_kind": "haproxy", "balancer_instances": ["lb"]}
    done = run({"web2 out": {"failed": True, "msg": "no"}}, **balanced)
    assert_ended_unlocked(done, *WEB)
    assert done.hosts("release_switch", "blog") == ["web1"], done.calls
    changes = [(host, step) for host, step, _ in done.calls if step in ("out", "in")]
    assert changes == [("web1", "out"), ("web1", "in"), ("web2", "out"), ("web2", "in")], changes


def test_error_of_the_role_ends_run(run):
    # A result without its list makes the plan of all sites fail.
    done = run({"web1 read shop": {"setup_done": None}})
    assert done.status != 0 and "release_plan" in done.output, done.output
    assert {step for _, step, _ in done.calls} == {"read"}, done.calls
    assert "Failed sites" not in done.output, done.output


def test_check_mode_only_reads(run):
    done = run({}, "--check")
    assert done.status == 0, done.output
    assert {step for _, step, _ in done.calls} == {"read"}, done.calls


def test_run_without_changes_only_reads(run):
    done = run({f"{host} read {site}": {"current": True, "id": NEW} for host in WEB for site in SITES})
    assert done.status == 0, done.output
    assert {step for _, step, _ in done.calls} == {"read"}, done.calls
