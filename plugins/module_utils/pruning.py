"""The removal of old releases, dumps and environments."""

from __future__ import annotations

import shutil

from ansible_collections.decanter.stack.plugins.module_utils.site import Site, read_json


def prune(site: Site, keep: int) -> None:
    """Remove old releases with their records and dumps, and environments that no release uses.

    Keeps `keep` good releases and `keep` failed ones.
    """
    live = {site.release_of(colour) for colour in ("blue", "green")}
    live.add(read_json(site.provisional).get("before", ""))
    records = sorted(site.records(), key=lambda record: record.get("went_live") or record["created"])
    failed = [record["id"] for record in records if record.get("state") == "failed"]
    good = [record["id"] for record in records if record.get("state") != "failed"]
    old = {identifier for group in (good, failed) for identifier in group[: max(len(group) - keep, 0)]}
    for identifier in old - live:
        if site.release(identifier).is_dir():  # a failed build has none
            shutil.rmtree(site.release(identifier))
        for path in site.releases.glob(f"{identifier}.*"):
            path.unlink()
    needed = {(site.release(identifier) / ".venv").resolve().name for identifier in site.identifiers()}
    for path in site.venvs.iterdir():
        # An environment, or its marker file.
        if path.name.removesuffix(".json") not in needed:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
