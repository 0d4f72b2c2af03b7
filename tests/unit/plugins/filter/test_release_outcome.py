"""The outcome of a run: failed sites, batches, the table."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.decanter.stack.plugins.filter import release_outcome as outcome

OLD, NEW = "20260101T000000Z-aaaa", "20260202T000000Z-bbbb"
HOSTS = ("web1", "web2")


def results(*items: dict[str, Any] | str) -> dict[str, Any]:
    """Return the registered result of a loop over sites. An item is a site, or a result with its item."""
    loop = [item if isinstance(item, dict) else {"item": item} for item in items]
    return {"results": [{"ansible_loop_var": "item"} | one for one in loop]}


def failed(site: Any, message: str) -> dict[str, Any]:
    return {"item": site, "failed": True, "msg": message}


# --- Failures ----------------------------------------------------------------------------------


def test_failures_are_found_in_all_steps_and_hosts():
    hostvars = {
        "web1": {"__release_states": results(failed({"name": "shop"}, "shop: found no branch v9"), "blog")},
        "web2": {
            "__release_activations": results(
                "shop", failed("blog", "blog, release X: it ended. Its log ends:")
            )
        },
    }
    assert outcome.release_failures(hostvars, HOSTS) == [
        {"site": "shop", "host": "web1", "step": "__release_states", "reason": "found no branch v9"},
        {"site": "blog", "host": "web2", "step": "__release_activations", "reason": "it ended."},
    ]


def test_site_of_loop_variable_and_of_withdrawal_is_found():
    hostvars = {
        "web1": {
            "__release_builds": {
                "results": [
                    {
                        "ansible_loop_var": "__release_name",
                        "__release_name": "shop",
                        "failed": True,
                        "msg": "x",
                    }
                ]
            },
            "__release_withdrawals": results(failed({"site": "blog", "fault": "y"}, "x")),
        }
    }
    assert [one["site"] for one in outcome.release_failures(hostvars, ["web1"])] == ["shop", "blog"]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (
            "shop: no release was built. x==1 cannot be built\npip's log ends:\nx",
            "no release was built. x==1 cannot be built",
        ),
        (
            "shop: `flask db upgrade` failed in release X. The log of the migration ends:",
            "`flask db upgrade` failed in release X.",
        ),
        ("shop: `flask seed` failed in release X:", "`flask seed` failed in release X"),
        ("", "the module returned no message"),
        ("x" * 300, "x" * 199 + "…"),
    ],
)
def test_reason_is_one_line_without_site_and_log(message, reason):
    [found] = outcome.release_failures(
        {"web1": {"__release_builds": results(failed("shop", message))}}, ["web1"]
    )
    assert found["reason"] == reason


def test_skipped_and_missing_steps_have_no_failures():
    hostvars = {"web1": {"__release_builds": {"skipped": True, "changed": False}}, "web2": {}}
    assert outcome.release_failures(hostvars, HOSTS) == []
    assert outcome.release_unreachable(hostvars, HOSTS) == []
    hostvars["web2"]["__release_states"] = {"unreachable": True, "msg": "x"}
    assert outcome.release_unreachable(hostvars, HOSTS) == ["web2"]


def test_only_locked_sites_with_failed_releases_are_withdrawn():
    hostvars = {
        "web1": {"__release_locks": results("shop", "blog", failed("wiki", "locked by ada"))},
        "web2": {
            "__release_locks": results(failed("blog", "locked by ada")),
            "__release_builds": results(failed("shop", "shop: it cannot be built"), failed("news", "x")),
        },
    }
    assert outcome.release_held(hostvars, "web1") == ["shop", "blog"]
    found = outcome.release_withdrawals(hostvars, HOSTS, "web1")
    assert found == [{"site": "shop", "fault": "it failed on web2: it cannot be built"}], found


def test_served_sites_are_those_with_a_live_release():
    first, later = {"item": "shop", "failed": True, "msg": "x", "live": ""}, {"item": "blog", "live": OLD}
    hostvars = {"web1": {"__release_activations": results(first, later)}}
    assert outcome.release_served(hostvars, "web1") == ["blog"]


def test_remaining_plan_has_no_failed_sites():
    plan = {"shop": {"id": NEW}, "blog": {"id": NEW}}
    assert outcome.release_remaining(plan, [{"site": "shop"}]) == {"blog": {"id": NEW}}


# --- Batches -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([1, "50%"], [[1], [2, 3], [4, 5]]),
        (["25%"], [[1], [2], [3], [4], [5]]),
        ([1, 2, 4], [[1], [2, 3], [4, 5]]),
        (2, [[1, 2], [3, 4], [5]]),
        ("40%", [[1, 2], [3, 4], [5]]),
        ([0], [[1, 2, 3, 4, 5]]),
        ([], [[1, 2, 3, 4, 5]]),
    ],
)
def test_batches_are_those_of_serial(sizes, expected):
    assert outcome.release_batches([1, 2, 3, 4, 5], sizes) == expected


# --- The table ---------------------------------------------------------------------------------


def test_site_with_a_rejected_vhost_is_a_failed_site():
    reason = "`nginx -t -q` rejects its new files: nginx: [emerg] invalid value"
    vhosts = {"changed": True, "rejected": [failed("shop", f"shop: {reason}")]}
    hostvars = {"web1": {"__nginx_vhosts": vhosts, "__release_states": results("shop", "blog")}}
    expected = [{"site": "shop", "host": "web1", "step": "__nginx_vhosts", "reason": reason}]
    assert outcome.release_failures(hostvars, ["web1"]) == expected
    assert outcome.release_remaining({"shop": {}, "blog": {}}, expected) == {"blog": {}}
    assert outcome.release_table(hostvars, ["web1"])[1:] == [
        f"shop  web1  failed: {reason}",
        "blog  web1  unchanged",
    ]


def test_table_has_a_row_for_each_site_and_host():
    states = results({"item": {"name": "shop"}}, {"item": {"name": "weblog"}})
    live = {"changed": True, "live": NEW}
    hostvars = {
        "web1": {
            "__release_states": states,
            "__release_activations": results({"item": "shop"} | live, {"item": "weblog"} | live),
            "__release_withdrawals": results(
                {"item": {"site": "shop"}, "returned": True, "live": OLD, "kept": ""}
            ),
        },
        "web2": {
            "__release_states": states,
            "__release_activations": results(
                failed("shop", "shop, release X: it ended"), {"item": "weblog"} | live
            ),
            "__release_withdrawals": results(
                {"item": {"site": "shop"}, "returned": False, "live": OLD, "kept": ""}
            ),
        },
    }
    assert outcome.release_table(hostvars, HOSTS) == [
        "SITE    HOST  RESULT",
        f"shop    web1  unchanged: switched back to {OLD}",
        "shop    web2  failed: it ended",
        f"weblog  web1  live {NEW}",
        f"weblog  web2  live {NEW}",
    ]
    hostvars["web1"]["__release_withdrawals"]["results"][0] |= {
        "kept": "nothing was live before",
        "live": NEW,
    }
    row = outcome.release_table(hostvars, HOSTS)[1]
    assert row == f"shop    web1  live {NEW}, not switched back: nothing was live before", row
