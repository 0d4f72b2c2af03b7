"""The tasks of each host of a run, with hosts in different states."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.decanter.stack.plugins.filter import release_plan as plugin

SITE = {"name": "shop", "migrate": "flask db upgrade", "setup": ["flask seed"]}
OLD, NEW = "20260101T000000Z-aaaa", "20260202T000000Z-bbbb"


def outdated(**found: Any) -> dict[str, Any]:
    """Return the state of a host without a release of the content."""
    return {
        **{"item": SITE, "id": "", "current": False, "content": "bbbb", "moment": "20260303T000000Z"},
        **{"commit": "", "pin": {}, "setup_done": [], "taken": []},
        **found,
    }


def live(**found: Any) -> dict[str, Any]:
    """Return the state of a host on which the new content is live."""
    return outdated(**{"id": NEW, "current": True, "setup_done": ["flask seed"], **found})


def plan(states: dict[str, dict], shared: bool = True, missing: list[str] | None = None) -> dict[str, dict]:
    """Return the plan of each host for the site."""
    results = {host: [one] for host, one in states.items()}
    return {
        host: plugin.release_plan(results, host, shared, missing or []).get("shop", {}) for host in states
    }


def roles(plans: dict[str, dict]) -> dict[str, tuple]:
    return {
        host: (one["migrates"], one["setup"], one["elsewhere"]) if one else () for host, one in plans.items()
    }


def test_shared_database_is_migrated_once():
    got = roles(plan({"one": outdated(), "two": outdated(), "three": outdated()}))
    other = (False, [], True)
    assert got == {"one": (True, ["flask seed"], False), "two": other, "three": other}, got


def test_separate_databases_are_each_migrated():
    got = roles(plan({"one": outdated(), "two": outdated()}, shared=False))
    assert got == dict.fromkeys(("one", "two"), (True, ["flask seed"], False)), got


def test_release_has_one_id_on_all_hosts():
    """The hosts read their state at different times."""
    got = plan({"one": outdated(), "two": outdated(moment="20260303T000001Z")})
    assert {one["id"] for one in got.values()} == {"20260303T000000Z-bbbb"}, got
    assert not any(one["made"] for one in got.values())


@pytest.mark.parametrize("shared", [True, False])
def test_new_host_gets_the_release_of_the_others(shared):
    got = plan({"one": live(), "two": outdated()}, shared)
    assert got["one"] == {}, got
    assert (got["two"]["id"], got["two"]["made"]) == (NEW, False), got
    expected = (False, [], True) if shared else (True, ["flask seed"], False)
    assert roles(got)["two"] == expected, f"expected {expected}, got {got}"


def test_release_id_is_not_used_twice():
    """On a host with a changed Python, the same content has another environment."""
    got = plan({"one": live(), "two": outdated(taken=[NEW])})
    assert got["two"]["id"] == "20260303T000000Z-bbbb", got


def test_interrupted_run_continues_on_the_second_host():
    """The first was migrated and is live; the second has the release already."""
    got = plan({"one": live(), "two": outdated(id=NEW)})
    assert (got["two"]["id"], got["two"]["made"], got["two"]["migrates"]) == (NEW, True, False), got


def test_setup_is_not_repeated_on_another_host():
    """The first host was added after the setup."""
    got = roles(plan({"one": outdated(), "two": outdated(setup_done=["flask seed"])}))
    assert got == {"one": (True, [], False), "two": (False, [], True)}, got


def test_setup_requires_the_excluded_hosts():
    got = plan({"one": outdated()}, missing=["two"])["one"]["fault"]
    assert got.startswith("shop: `flask seed` may have run on two, which this run excludes"), got
    for case in (
        plan({"one": outdated(setup_done=["flask seed"])}, missing=["two"]),
        plan({"one": outdated()}, shared=False, missing=["two"]),
    ):
        assert case["one"]["migrates"] and not case["one"]["fault"], case


def test_pinned_hosts_run_no_migration():
    pin = {"release": OLD, "by": "ada@desk"}
    got = roles(plan({"one": outdated(pin=pin, id=OLD), "two": outdated(pin=pin, id=OLD)}))
    assert not any(one[0] or one[2] for one in got.values()), got


def test_new_host_fails_while_others_are_pinned():
    pin = {"release": OLD, "by": "ada@desk"}
    got = plan({"one": live(pin=pin, id=OLD), "two": outdated()})["two"]["fault"]
    assert got.startswith(f"shop: other hosts are pinned to release {OLD} by ada@desk"), got


def test_release_plan_of_unreadable_site_is_empty():
    """One host that cannot read the site is enough."""
    unreadable = {"item": SITE, "failed": True, "msg": "shop: found no branch"}
    assert plan({"one": outdated(), "two": unreadable}) == {"one": {}, "two": {}}


# --- Rollback ----------------------------------------------------------------------------------


def faults(forced: bool = False, **targets: dict[str, Any]) -> list[str]:
    results = {
        host: [{"item": SITE, "fault": "", "differences": [], **found}] for host, found in targets.items()
    }
    return plugin.rollback_faults(results, next(iter(targets)), forced)


def test_rollback_requires_one_release_for_all_hosts():
    assert faults(one={"target": OLD}, two={"target": OLD}) == []
    got = faults(one={"target": OLD}, two={"target": NEW})
    assert len(got) == 1 and f"found {OLD} on one, {NEW} on two" in got[0], got
    assert "make rollback SITE=shop TO=release" in got[0], got


def test_rollback_behind_the_schema_requires_force():
    changed = {"target": OLD, "differences": ["column a.b was added"]}
    got = faults(one=changed)
    assert len(got) == 1 and "column a.b was added" in got[0] and "FORCE=1" in got[0], got
    assert faults(forced=True, one=changed) == []


def test_rollback_without_target_changes_nothing():
    got = faults(one={"target": "", "fault": "there is no good release before X"})
    assert got == ["shop: there is no good release before X. Nothing was changed."], got
