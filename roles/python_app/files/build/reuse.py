"""Reuse the packages of the previous environment that a new one has unchanged.

Root links the files of the previous environment into the folder of the new one. They belong to root, so a
build can remove and replace them, and never change them. Copying them from the cache, compiling them and
copying them again would take most of the time of a build.
"""

from __future__ import annotations

import csv
import json
import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name

FILE = "contents.json"


@dataclass
class Contents:
    """What an environment was built from."""

    identity: str  # the interpreter and what else the host decides
    options: str
    packages: dict[str, str]  # by normalised name, all that decides what is installed

    @classmethod
    def of(cls, environment: Path) -> Contents | None:
        """Return the contents of a complete environment; None if it has no record of them."""
        try:
            return cls(**json.loads((environment / FILE).read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def write(self, environment: Path) -> None:
        (environment / FILE).write_text(json.dumps(vars(self)))

    def overlap(self, previous: Path) -> set[str]:
        """Return the names of the packages that another environment has unchanged."""
        other = Contents.of(previous)
        if other is None or (other.identity, other.options) != (self.identity, self.options):
            return set()
        return {name for name, text in self.packages.items() if other.packages.get(name) == text}

    def reduce(self, environment: Path) -> None:
        """Remove from a linked environment everything but the files of the unchanged packages."""
        kept = kept_files(environment, self.overlap(environment))
        for here, folders, names in os.walk(environment, topdown=False):
            links = [name for name in folders if os.path.islink(f"{here}/{name}")]
            for path in (f"{here}/{name}" for name in (*names, *links)):
                if path not in kept and source_of(path) not in kept:
                    os.unlink(path)
            if here != str(environment) and not os.listdir(here):
                os.rmdir(here)


def kept_files(environment: Path, names: set[str]) -> set[str]:
    """Return the paths of the files of some packages.

    A package that shares a file with one that changes is left out: whose version of it is there is unknown.
    """
    owners: dict[str, set[str]] = defaultdict(set)
    files: dict[str, set[str]] = {}
    for record in environment.glob("lib/*/site-packages/*.dist-info/RECORD"):
        name = canonicalize_name(record.parent.name.partition("-")[0])
        site = record.parents[1]
        with record.open(newline="") as file:
            files[name] = {os.path.normpath(site / row[0]) for row in csv.reader(file) if row}
        for path in files[name]:
            owners[path].add(name)
    kept = names & set(files)
    shared = [found for found in owners.values() if len(found) > 1]
    while left_out := {name for found in shared if not found <= kept for name in found & kept}:
        kept -= left_out
    return set().union(*(files[name] for name in kept))


def source_of(path: str) -> str:
    """Return the path of the module of a file of bytecode; empty for any other file."""
    folder, _, name = path.rpartition("/")
    parent, _, last = folder.rpartition("/")
    return f"{parent}/{name.partition('.')[0]}.py" if last == "__pycache__" else ""
