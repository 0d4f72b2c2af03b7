"""What each host of a run has to do, from what all of them have seen: the hosts of a site are one."""

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
    """What a host has to do for each site that needs a release, by the site's name.

    `looks` is what `release` found for each site on each host, in the hosts' order. Where they share one
    database, the first host that needs a release runs its migration, and what runs once in the life of the
    site, for all of them; `missing` are hosts that share it and are not in this run. `live` is what other
    hosts have, where this one makes itself. A site that could not be read on a host is left out.

    id: the release's ID, the same on all hosts; made: whether this host has it already; migrates: whether
    its migration is run here; setup: the commands of `setup` to run here; elsewhere: whether another host
    does or has done both; site, commit, pin: as `release` has found them; fault: why the host cannot release
    the site, or an empty string.
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
                f"{name}: other hosts stay on release {pins[0]['release']}, to which {pins[0]['by']} went "
                f"back, and {host} does not. Nothing was changed; make deploy SITE={name} ends that"
            )
        identifier = look["id"] or _identifier(look, seen)
        # Another host that has this release, and runs nothing now, has done it.
        done = any(one["current"] and one["id"] == identifier for one in others)
        setup_done = {command for one in others for command in one["setup_done"]}
        first = due[0] == host
        setup = [task for task in look["item"]["setup"] if task not in setup_done] if first else []
        if shared and missing and set(setup) - set(look["setup_done"]):
            fault = fault or (
                f"{name}: only {', '.join(missing)} may know whether `{setup[0]}` has been run. "
                "Nothing was changed; run this on all hosts of the site at once"
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
            # Nobody goes back with a migration, nor because of one.
            "elsewhere": bool(others) and not look["pin"] and (done or not first),
            "fault": fault,
        }
    return plan


def _as_live(look: Look, live: Mapping[str, Any]) -> dict[str, Any]:
    """What a host that makes itself does for a site: what the others have, which have migrated it."""
    name, content, fault = look["item"]["name"], look["content"], ""
    if not live["id"].endswith(f"-{content}"):
        fault = f"{name}: found a source of content {content}, expected that of {live['id']}"
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
    """The ID that another host has given to this content; else the first host's time, for all of them."""
    given = [one["id"] for one in seen.values() if one["id"].endswith(f"-{look['content']}")]
    # One that this host has given to the same content and another environment is taken.
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
                f"  {changes}\nNothing was changed. If that release can live with it: "
                f"make rollback SITE={name} FORCE=1"
            )
    return faults


def rollback_plan(looks: Sequence[Look]) -> dict[str, dict[str, Any]]:
    """As release_plan's, of sites that go back: a converge will stay there."""
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
