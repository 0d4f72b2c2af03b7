"""Filters that plan the steps of each host from the state of all hosts of a site."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Look = Mapping[str, Any]


def release_plan(
    looks: Mapping[str, Sequence[Look]],
    host: str,
    shared: bool,
    missing: Sequence[str] = (),
    live: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, dict[str, Any]]:
    """Return the steps of a host for each site that needs a release, by the site's name.

    `looks` are the results of the module `release` for each site, by host, in the order of the hosts. With a
    shared database (`shared`) the first host that needs a release runs the migration and the commands of
    `setup` for all hosts; `missing` are the hosts of the site outside this run. `live` are the published
    releases, if this host bootstraps itself. A site that could not be read on a host is omitted.

    id: the release's ID, the same on all hosts; made: whether this host has built it; migrates: whether this
    host runs the migration; setup: the commands that this host runs; elsewhere: whether another host runs or
    has run both; site, commit, pin: from `looks`; fault: why the host cannot release the site, or "".
    """
    plan = {}
    for look in looks[host]:
        name = look["item"]["name"]
        if any(_of(name, found).get("failed") for found in looks.values()) or look["current"]:
            continue
        if known := (live or {}).get(name):
            plan[name] = _as_live(look, known)
            continue
        seen = {other: _of(name, looks[other]) for other in looks}
        sharing = seen if shared else {host: look}
        due = [other for other, one in sharing.items() if not one["current"]]
        others, fault = [one for other, one in sharing.items() if other != host], ""
        if not look["pin"] and (pins := [one["pin"] for one in others if one["pin"]]):
            fault = (
                f"{name}: other hosts are pinned to release {pins[0]['release']} by {pins[0]['by']}, "
                f"but {host} is not. "
                f"Nothing was changed. Remedy: make deploy SITE={name} removes the pin."
            )
        identifier = look["id"] or _identifier(look, seen)
        done = any(one["current"] and one["id"] == identifier for one in others)
        setup_done = {command for one in others for command in one["setup_done"]}
        first = due[0] == host
        setup = [task for task in look["item"]["setup"] if task not in setup_done] if first else []
        if shared and missing and set(setup) - set(look["setup_done"]):
            fault = fault or (
                f"{name}: `{setup[0]}` may have run on {', '.join(missing)}, which this run excludes. "
                "Nothing was changed. Remedy: run this on all hosts of the site."
            )
        migrates = "migrate" in look["item"] and first and not done and not look["pin"]
        plan[name] = {
            "site": look["item"],
            "id": identifier,
            "made": bool(look["id"]),
            "commit": look["commit"],
            "pin": look["pin"],
            "migrates": migrates,
            "setup": setup,
            # A rollback runs no migration and depends on none.
            "elsewhere": bool(others) and not look["pin"] and (done or not first),
            "fault": fault,
        }
    return plan


def _as_live(look: Look, live: Mapping[str, Any]) -> dict[str, Any]:
    """Return the steps of a bootstrapping host: the release of the other hosts, without its migration."""
    name, content, fault = look["item"]["name"], look["content"], ""
    if not live["id"].endswith(f"-{content}"):
        fault = f"{name}: found a source with the hash {content}, expected that of release {live['id']}"
    return {
        "site": look["item"],
        "id": live["id"],
        "made": look["id"] == live["id"],
        "commit": look["commit"],
        "pin": {"release": live["id"]} if live["pinned"] else {},
        "migrates": False,
        "setup": [],
        "elsewhere": not live["pinned"],
        "fault": fault,
    }


def _of(name: str, looks: Sequence[Look]) -> Look:
    return next(look for look in looks if look["item"]["name"] == name)


def _identifier(look: Look, seen: Mapping[str, Look]) -> str:
    """Return the ID that another host uses for this content, or a new one with the time of the first host."""
    given = [one["id"] for one in seen.values() if one["id"].endswith(f"-{look['content']}")]
    # An ID that this host uses for the same content with other inputs is not available.
    free = [identifier for identifier in given if identifier not in look["taken"]]
    return max(free, default=f"{next(iter(seen.values()))['moment']}-{look['content']}")


def rollback_faults(looks: Mapping[str, Sequence[Look]], host: str, forced: bool) -> list[str]:
    """Return a text for each reason why a host cannot roll back.

    `looks` has the results of `release_info` for each site, by host.
    """
    faults = []
    for look in looks[host]:
        name = look["item"]["name"]
        targets = {other: _of(name, found)["target"] for other, found in looks.items()}
        if look["fault"]:
            faults.append(f"{name}: {look['fault']}. Nothing was changed.")
        elif len(set(targets.values())) > 1:
            found = ", ".join(f"{target or 'none'} on {other}" for other, target in targets.items())
            faults.append(
                f"{name}: found {found}, expected one release for all. Nothing was changed. "
                f"Name it: make rollback SITE={name} TO=release"
            )
        elif look["differences"] and not forced:
            changes = "\n  ".join(look["differences"])
            faults.append(
                f"{name}: the schema of the database has changed since release {look['target']}:\n"
                f"  {changes}\nNothing was changed. If that release works with this schema: "
                f"make rollback SITE={name} FORCE=1"
            )
    return faults


def rollback_plan(looks: Sequence[Look]) -> dict[str, dict[str, Any]]:
    """Return the plan of a rollback, in the format of release_plan. A converge keeps these releases."""
    return {
        look["item"]["name"]: {
            "site": look["item"],
            "id": look["target"],
            "pin": {"release": look["target"]},
            "elsewhere": False,
        }
        for look in looks
    }


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {function.__name__: function for function in (release_plan, rollback_plan, rollback_faults)}
