"""Filters that plan the steps of each host from the state of all hosts of a site."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

State = Mapping[str, Any]


def release_plan(
    states: Mapping[str, Sequence[State]],
    host: str,
    shared: bool,
    missing: Sequence[str] = (),
    live: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, dict[str, Any]]:
    """Return the steps of a host for each site that needs a release, by the site's name.

    `states` are the results of the module `release` for each site, by host, in the order of the hosts. With a
    shared database (`shared`) the first host that needs a release runs the migration and the commands of
    `setup` for all hosts; `missing` are the hosts of the site outside this run. `live` are the published
    releases, if this host bootstraps itself. A site that could not be read on a host is omitted.

    id: the release's ID, the same on all hosts; made: whether this host has built it; migrates: whether this
    host runs the migration; setup: the commands that this host runs; elsewhere: whether another host runs or
    has run both; site, commit, pin: from `states`; fault: why the host cannot release the site, or "".
    """
    plan = {}
    for state in states[host]:
        name = state["item"]["name"]
        if any(_of(name, found).get("failed") for found in states.values()) or state["current"]:
            continue
        if known := (live or {}).get(name):
            plan[name] = _as_live(state, known)
            continue
        by_host = {other: _of(name, states[other]) for other in states}
        sharing = by_host if shared else {host: state}
        due = [other for other, one in sharing.items() if not one["current"]]
        others, fault = [one for other, one in sharing.items() if other != host], ""
        if not state["pin"] and (pins := [one["pin"] for one in others if one["pin"]]):
            fault = (
                f"{name}: other hosts are pinned to release {pins[0]['release']} by {pins[0]['by']}, "
                f"but {host} is not. "
                f"Nothing was changed. Remedy: make deploy SITE={name} removes the pin."
            )
        identifier = state["id"] or _identifier(state, by_host)
        done = any(one["current"] and one["id"] == identifier for one in others)
        setup_done = {command for one in others for command in one["setup_done"]}
        first = due[0] == host
        setup = [task for task in state["item"]["setup"] if task not in setup_done] if first else []
        if shared and missing and set(setup) - set(state["setup_done"]):
            fault = fault or (
                f"{name}: `{setup[0]}` may have run on {', '.join(missing)}, which this run excludes. "
                "Nothing was changed. Remedy: run this on all hosts of the site."
            )
        migrates = "migrate" in state["item"] and first and not done and not state["pin"]
        plan[name] = {
            "site": state["item"],
            "id": identifier,
            "made": bool(state["id"]),
            "commit": state["commit"],
            "pin": state["pin"],
            "migrates": migrates,
            "setup": setup,
            # A rollback runs no migration and depends on none.
            "elsewhere": bool(others) and not state["pin"] and (done or not first),
            "fault": fault,
        }
    return plan


def _as_live(state: State, live: Mapping[str, Any]) -> dict[str, Any]:
    """Return the steps of a bootstrapping host: the release of the other hosts, without its migration."""
    name, content, fault = state["item"]["name"], state["content"], ""
    if not live["id"].endswith(f"-{content}"):
        fault = f"{name}: found a source with the hash {content}, expected that of release {live['id']}"
    return {
        "site": state["item"],
        "id": live["id"],
        "made": state["id"] == live["id"],
        "commit": state["commit"],
        "pin": {"release": live["id"]} if live["pinned"] else {},
        "migrates": False,
        "setup": [],
        "elsewhere": not live["pinned"],
        "fault": fault,
    }


def _of(name: str, states: Sequence[State]) -> State:
    return next(state for state in states if state["item"]["name"] == name)


def _identifier(state: State, by_host: Mapping[str, State]) -> str:
    """Return the ID that another host uses for this content, or a new one with the time of the first host."""
    identifiers = [one["id"] for one in by_host.values() if one["id"].endswith(f"-{state['content']}")]
    # An ID that this host uses for the same content with other inputs is not available.
    free = [identifier for identifier in identifiers if identifier not in state["taken"]]
    return max(free, default=f"{next(iter(by_host.values()))['moment']}-{state['content']}")


def rollback_faults(states: Mapping[str, Sequence[State]], host: str, forced: bool) -> list[str]:
    """Return a text for each reason why a host cannot roll back.

    `states` has the results of `release_info` for each site, by host.
    """
    faults = []
    for state in states[host]:
        name = state["item"]["name"]
        targets = {other: _of(name, found)["target"] for other, found in states.items()}
        if state["fault"]:
            faults.append(f"{name}: {state['fault']}. Nothing was changed.")
        elif len(set(targets.values())) > 1:
            found = ", ".join(f"{target or 'none'} on {other}" for other, target in targets.items())
            faults.append(
                f"{name}: found {found}, expected one release for all. Nothing was changed. "
                f"Name it: make rollback SITE={name} TO=release"
            )
        elif state["differences"] and not forced:
            changes = "\n  ".join(state["differences"])
            faults.append(
                f"{name}: the schema of the database has changed since release {state['target']}:\n"
                f"  {changes}\nNothing was changed. If that release works with this schema: "
                f"make rollback SITE={name} FORCE=1"
            )
    return faults


def rollback_plan(states: Sequence[State]) -> dict[str, dict[str, Any]]:
    """Return the plan of a rollback, in the format of release_plan. A converge keeps these releases."""
    return {
        state["item"]["name"]: {
            "site": state["item"],
            "id": state["target"],
            "pin": {"release": state["target"]},
            "elsewhere": False,
        }
        for state in states
    }


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {function.__name__: function for function in (release_plan, rollback_plan, rollback_faults)}
