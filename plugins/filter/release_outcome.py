"""Filters for the outcome of a run: failed sites, batches of hosts, the table at the end."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible.utils.helpers import pct_to_int

Results = Sequence[Mapping[str, Any]]

# Registered variables of the roles `nginx` and `release`, in the order of their tasks. Tasks of `release`
# loop over sites. The task of `nginx` returns a list of the sites with rejected files.
STEPS = (
    "__nginx_vhosts",
    "__balancer_sites",
    "__release_credentials",
    "__release_states",
    "__release_history",
    "__release_plan_validation",
    "__release_locks",
    "__release_builds",
    "__release_migrations",
    "__release_setup",
    "__release_activations",
    "__release_withdrawals",
)
# A failure in one of these steps makes the release unusable on every host of the site.
RELEASE_STEPS = STEPS[STEPS.index("__release_builds") : STEPS.index("__release_withdrawals")]
REASON_LENGTH = 200


def release_failures(hostvars: Mapping[str, Any], hosts: Iterable[str]) -> list[dict[str, str]]:
    """Return the failures of sites so far: `site`, `host`, `step` and a `reason` of one line each.

    The first failure of a site is the first item with its name. A site fails on all hosts of a run if it
    fails on one.
    """
    return [
        {"site": _site(result), "host": host, "step": step, "reason": _reason(result)}
        for step in STEPS
        for host in hosts
        for result in _results(hostvars, host, step)
        if result.get("failed")
    ]


def release_unreachable(hostvars: Mapping[str, Any], hosts: Iterable[str]) -> list[str]:
    """Return the hosts that became unreachable in a step of a site."""
    return [
        host for host in hosts if any(_registered(hostvars, host, step).get("unreachable") for step in STEPS)
    ]


def release_remaining(
    plan: Mapping[str, Mapping[str, Any]], failures: Iterable[Mapping[str, str]]
) -> dict[str, Mapping[str, Any]]:
    """Return the plan without the sites that failed."""
    failed = {failure["site"] for failure in failures}
    return {name: one for name, one in plan.items() if name not in failed}


def release_held(hostvars: Mapping[str, Any], host: str) -> list[str]:
    """Return the sites that this run has locked on a host."""
    return [
        _site(result)
        for result in _results(hostvars, host, "__release_locks")
        if not result.get("failed") and not result.get("unreachable")
    ]


def release_served(hostvars: Mapping[str, Any], host: str) -> list[str]:
    """Return the sites of this run that have a live release on a host after its activation."""
    return [
        _site(result) for result in _results(hostvars, host, "__release_activations") if result.get("live")
    ]


def release_withdrawals(hostvars: Mapping[str, Any], hosts: Sequence[str], host: str) -> list[dict[str, str]]:
    """Return the locked sites of a host that have a failed release on any host: `site` and `fault` each."""
    first: dict[str, Mapping[str, str]] = {}
    for failure in release_failures(hostvars, hosts):
        if failure["step"] in RELEASE_STEPS:
            first.setdefault(failure["site"], failure)
    return [
        {"site": site, "fault": f"it failed on {first[site]['host']}: {first[site]['reason']}"}
        for site in release_held(hostvars, host)
        if site in first
    ]


def release_batches(hosts: Sequence[str], sizes: Any) -> list[list[str]]:
    """Return the hosts in batches. `sizes` has the format and the meaning of the play keyword `serial`."""
    sizes = list(sizes) if isinstance(sizes, Sequence) and not isinstance(sizes, str) else [sizes]
    left = list(hosts)
    batches: list[list[str]] = []
    while left:
        size = pct_to_int(sizes[min(len(batches), len(sizes) - 1)], len(hosts)) if sizes else 0
        size = size if size > 0 else len(left)
        batches.append(left[:size])
        left = left[size:]
    return batches


def release_table(hostvars: Mapping[str, Any], hosts: Sequence[str]) -> list[str]:
    """Return a table of the result of each site on each host, as lines."""
    sites = {
        _site(result): None
        for step in ("__release_states", "__release_history")
        for host in hosts
        for result in _results(hostvars, host, step)
    }
    failures = release_failures(hostvars, hosts)
    rows = [("SITE", "HOST", "RESULT")]
    rows += [(site, host, _result(hostvars, host, site, failures)) for site in sites for host in hosts]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return [f"{site:<{widths[0]}}  {host:<{widths[1]}}  {result}" for site, host, result in rows]


def _result(hostvars: Mapping[str, Any], host: str, site: str, failures: Results) -> str:
    for failure in failures:
        if (failure["site"], failure["host"]) == (site, host):
            return f"failed: {failure['reason']}"
    withdrawn = _of(site, _results(hostvars, host, "__release_withdrawals"))
    if withdrawn.get("kept"):
        return f"live {withdrawn['live']}, not switched back: {withdrawn['kept']}"
    if withdrawn.get("returned"):
        return f"unchanged: switched back to {withdrawn['live']}"
    switched = _of(site, _results(hostvars, host, "__release_activations"))
    return f"live {switched['live']}" if switched.get("changed") else "unchanged"


def _registered(hostvars: Mapping[str, Any], host: str, step: str) -> Mapping[str, Any]:
    return hostvars[host].get(step) or {}


def _results(hostvars: Mapping[str, Any], host: str, step: str) -> Results:
    registered = _registered(hostvars, host, step)
    return registered.get("results") or registered.get("rejected") or []


def _of(site: str, results: Results) -> Mapping[str, Any]:
    return next((result for result in results if _site(result) == site), {})


def _site(result: Mapping[str, Any]) -> str:
    """Return the name of the site of a loop's result: the item itself, or its `name` or `key`."""
    item = result[result.get("ansible_loop_var", "item")]
    return item if isinstance(item, str) else item.get("name") or item.get("key") or item["site"]


def _reason(result: Mapping[str, Any]) -> str:
    """Return the first line of a failure, without the site's name and without the announcement of a log."""
    lines = str(result.get("msg") or "").strip().splitlines() or ["the module returned no message"]
    reason = re.sub(rf"^{re.escape(_site(result))}(, release \S+)?: ", "", lines[0])
    reason = re.sub(r"\s+(Its log|The log of the migration) ends:$", "", reason).rstrip(": ")
    return reason if len(reason) <= REASON_LENGTH else f"{reason[: REASON_LENGTH - 1]}…"


class FilterModule:
    def filters(self) -> dict[str, Any]:
        functions = (
            *(release_failures, release_unreachable, release_remaining, release_held),
            *(release_served, release_withdrawals, release_batches, release_table),
        )
        return {function.__name__: function for function in functions}
