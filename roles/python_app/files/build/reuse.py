"""Reuse the packages of the previous environment that are unchanged in a new one.

Only the other packages are built. Root links the files of the unchanged ones into the new environment.
Most of the time of a build is spent copying packages from the cache, compiling them and copying them out.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name

FILE = "contents.json"


@dataclass
class Contents:
    """The inputs of an environment."""

    identity: str  # the interpreter and other inputs of the host
    options: str
    packages: dict[str, str]  # by normalised name: all inputs of the installation

    @classmethod
    def of(cls, environment: Path) -> Contents | None:
        """Return the contents of a complete environment; None if it has no record of them."""
        try:
            return cls(**json.loads((environment / FILE).read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def write(self, environment: Path) -> None:
        (environment / FILE).write_text(json.dumps(vars(self)))

    def unchanged(self, previous: Path) -> set[str]:
        """Return the names of the packages that another environment has unchanged."""
        other = Contents.of(previous)
        if other is None or (other.identity, other.options) != (self.identity, self.options):
            return set()
        return {name for name, text in self.packages.items() if other.packages.get(name) == text}


@dataclass
class ReusedPackages:
    """The reused packages of an environment."""

    environment: Path
    metadata: list[str]  # their folders of metadata
    files: list[str]  # all their files, with bytecode; both relative to the environment

    def copy_metadata(self, environment: Path) -> None:
        """Copy the metadata of the packages to a new environment, so that uv treats them as installed."""
        for folder in self.metadata:
            shutil.copytree(self.environment / folder, environment / folder)

    def remove_metadata(self, environment: Path) -> None:
        """Remove the copied metadata."""
        for folder in self.metadata:
            shutil.rmtree(environment / folder)


NO_PACKAGES = ReusedPackages(Path(), [], [])


def reusable_packages(environment: Path, names: set[str]) -> ReusedPackages:
    """Return the packages with the given names that a new environment can reuse.

    A package that shares a file with a changed package is not reused, because the file may belong to either.
    """
    if not names:
        return NO_PACKAGES
    owners: dict[str, set[str]] = defaultdict(set)
    records: dict[str, str] = {}
    files: dict[str, set[str]] = {}
    for record in environment.glob("lib/*/site-packages/*.dist-info/RECORD"):
        name = canonicalize_name(record.parent.name.partition("-")[0])
        records[name] = str(record.parent.relative_to(environment))
        with record.open(newline="") as file:
            rows = [row[0] for row in csv.reader(file) if row]
        files[name] = {os.path.normpath(record.parents[1] / path) for path in rows}
        for path in files[name]:
            owners[path].add(name)
    stay = names & set(files)
    shared = [found for found in owners.values() if len(found) > 1]
    while left_out := {name for found in shared if not found <= stay for name in found & stay}:
        stay -= left_out
    wanted: set[str] = set().union(*(files[name] for name in stay))
    start = len(f"{environment}/")
    paths = [
        path[start:]
        for here, folders, entries in os.walk(environment)
        for path in (f"{here}/{entry}" for entry in (*entries, *folders))
        if path in wanted or source_of(path) in wanted
    ]
    return ReusedPackages(environment, [records[name] for name in stay], paths)


def source_of(path: str) -> str:
    """Return the path of the module of a file of bytecode; empty for any other file."""
    folder, _, name = path.rpartition("/")
    parent, _, last = folder.rpartition("/")
    return f"{parent}/{name.partition('.')[0]}.py" if last == "__pycache__" else ""
