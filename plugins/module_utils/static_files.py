"""The static files of releases, which nginx serves."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.decanter.stack.plugins.module_utils.compression import TWINS, twins
from ansible_collections.decanter.stack.plugins.module_utils.site import Site


def publish(site: Site, identifier: str, static: list[dict[str, str]], check: bool) -> bool:
    """Copy a release's static files to the folder with those of the previous release.

    Remove compressed files of other releases. Return whether a file was missing.
    """
    changed = False
    os.umask(0o022)  # nginx reads the folders that this function creates
    for folder in static:
        source = site.release(identifier) / folder["path"]
        target = site.assets / folder["url"].strip("/")
        for file in sorted(plain_files(source), key=lambda file: file.suffix in TWINS):
            copy = target / file.relative_to(source)
            current = copy.is_file() and same(file, copy)
            foreign = [
                copied
                for own, copied in zip(twins(file), twins(copy), strict=True)
                if copied.is_file() and not (current and own.is_file())
            ]
            if current and not foreign:
                continue
            changed = True
            if check:
                continue
            for twin in foreign:
                twin.unlink()
            if not current:
                copy.parent.mkdir(parents=True, exist_ok=True)
                new = copy.with_name(f".{copy.name}.new")
                shutil.copy2(file, new)
                new.chmod(0o644)
                new.rename(copy)
    return changed


def withdraw(site: Site, static: list[dict[str, str]]) -> None:
    """Remove published files of releases other than the live one and the one before it."""
    releases = {site.release_of(colour) for colour in ("blue", "green")} - {""}
    kept = {
        site.assets / folder["url"].strip("/") / path.relative_to(site.release(identifier) / folder["path"])
        for identifier in releases
        for folder in static
        for path in plain_files(site.release(identifier) / folder["path"])
    }
    for here, _, names in os.walk(site.assets, topdown=False):
        for path in {Path(here, name) for name in names} - kept:
            path.unlink()
        if Path(here) != site.assets and not os.listdir(here):
            os.rmdir(here)


def plain_files(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder, without symlinks, which could lead nginx out of it."""
    for here, _, names in os.walk(folder):
        yield from (path for name in names if not (path := Path(here, name)).is_symlink())


def same(one: Path, other: Path) -> bool:
    """Return whether two files have the same size and modification time."""
    return (one.stat().st_size, int(one.stat().st_mtime)) == (
        other.stat().st_size,
        int(other.stat().st_mtime),
    )
