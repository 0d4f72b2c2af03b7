"""What each host of a run has to do, when they are not all in the same state."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.decanter.stack.plugins.filter import release_plan as plugin

SITE = {"name": "shop", "migrate": "flask db upgrade", "setup": ["flask seed"]}
OLD, NEW = "20260101T000000Z-aaaa", "20260202T000000Z-bbbb"


def look(**found: Any) -> dict[str, Any]:
    """What a host has found that needs a release, of content that nobody has released."""
    return {
        **{"item": SITE, "id": "", "current": False, "content": "bbbb", "moment": "20260303T000000Z"},
        **{"commit": "", "pin": {}, "setup_done": [], "taken": []},
        **found,
    }


def live(**found: Any) -> dict[str, Any]:
    """What a host has found on which the new content is live."""
    return look(**{"id": NEW, "current": True, "setup_done": ["flask seed"], **found})


def plan(looks: dict[str, dict], shared: bool = True, missing: list[str] | None = None) -> dict[str, dict]:
    """What each host does for the one site."""
    results = {host: [one] for host, one in looks.items()}
    return {host: plugin.release_plan(results, host, shared, missing or []).get("shop", {}) for host in looks}


def roles(plans: dict[str, dict]) -> dict[str, tuple]:
    return {
        host: (one["migrates"], one["setup"], one["elsewhere"]) if one else () for host, one in plans.items()
    }


def test_hosts_with_one_database_migrate_it_once():
    got = roles(plan({"one": look(), "two": look(), "three": look()}))
    other = (False, [], True)
    assert got == {"one": (True, ["flask seed"], False), "two": other, "three": other}, got


def test_hosts_with_a_database_each_migrate_each():
    got = roles(plan({"one": look(), "two": look()}, shared=False))
    assert got == dict.fromkeys(("one", "two"), (True, ["flask seed"], False)), got


def test_a_release_has_the_same_id_on_all_hosts():
    """Each looks at a time of its own."""
    got = plan({"one": look(), "two": look(moment="20260303T000001Z")})
    assert {one["id"] for one in got.values()} == {"20260303T000000Z-bbbb"}, got
    assert not any(one["made"] for one in got.values())


@pytest.mark.parametrize("shared", [True, False])
def test_a_host_that_is_added_takes_what_the_others_have(shared):
    got = plan({"one": live(), "two": look()}, shared)
    assert got["one"] == {}, got
    assert (got["two"]["id"], got["two"]["made"]) == (NEW, False), got
    want = (False, [], True) if shared else (True, ["flask seed"], False)
    assert roles(got)["two"] == want, f"expected {want}, got {got}"


def test_an_id_is_not_given_twice():
    """The same content in another environment, on a host whose Python has changed."""
    got = plan({"one": live(), "two": look(taken=[NEW])})
    assert got["two"]["id"] == "20260303T000000Z-bbbb", got


def test_a_run_that_was_cut_off_between_two_hosts_goes_on():
    """The first was migrated and is live; the second has the release already."""
    got = plan({"one": live(), "two": look(id=NEW)})
    assert (got["two"]["id"], got["two"]["made"], got["two"]["migrates"]) == (NEW, True, False), got


def test_what_was_run_once_is_not_run_again_by_another_host():
    """A new release on all, of which the first was added since."""
    got = roles(plan({"one": look(), "two": look(setup_done=["flask seed"])}))
    assert got == {"one": (True, [], False), "two": (False, [], True)}, got


def test_only_the_hosts_that_are_left_out_would_know():
    got = plan({"one": look()}, missing=["two"])["one"]["fault"]
    assert got.startswith("shop: `flask seed` may have run on two, which this run excludes"), got
    for case in (
        plan({"one": look(setup_done=["flask seed"])}, missing=["two"]),
        plan({"one": look()}, shared=False, missing=["two"]),
    ):
        assert case["one"]["migrates"] and not case["one"]["fault"], case


def test_nobody_goes_back_with_a_migration():
    pin = {"release": OLD, "by": "ada@desk"}
    got = roles(plan({"one": look(pin=pin, id=OLD), "two": look(pin=pin, id=OLD)}))
    assert not any(one[0] or one[2] for one in got.values()), got


def test_a_host_that_is_added_while_the_others_have_gone_back_is_told():
    pin = {"release": OLD, "by": "ada@desk"}
    got = plan({"one": live(pin=pin, id=OLD), "two": look()})["two"]["fault"]
    assert got.startswith(f"shop: other hosts are pinned to release {OLD} by ada@desk"), got


def test_release_plan_of_unreadable_site_is_empty():
    """On every host, whichever could not read it."""
    unread = {"item": SITE, "failed": True, "msg": "shop: found no branch"}
    assert plan({"one": look(), "two": unread}) == {"one": {}, "two": {}}


# --- Going back --------------------------------------------------------------------------------


def faults(forced: bool = False, **targets: dict[str, Any]) -> list[str]:
    known = {
        host: [{"item": SITE, "fault": "", "differences": [], **found}] for host, found in targets.items()
    }
    return plugin.rollback_faults(known, next(iter(targets)), forced)


def test_hosts_go_back_to_one_release():
    assert faults(one={"target": OLD}, two={"target": OLD}) == []
    got = faults(one={"target": OLD}, two={"target": NEW})
    assert len(got) == 1 and f"found {OLD} on one, {NEW} on two" in got[0], got
    assert "make rollback SITE=shop TO=release" in got[0], got


def test_nobody_goes_behind_the_schema_unawares():
    changed = {"target": OLD, "differences": ["column a.b was added"]}
    got = faults(one=changed)
    assert len(got) == 1 and "column a.b was added" in got[0] and "FORCE=1" in got[0], got
    assert faults(forced=True, one=changed) == []


def test_without_a_release_to_go_back_to_nothing_happens():
    got = faults(one={"target": "", "fault": "there is no good release before X"})
    assert got == ["shop: there is no good release before X. Nothing was changed."], got
