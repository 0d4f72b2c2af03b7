"""Conditions under which Poetry installs each package of a lock that does not list them (formats 1.0 to 2.0).

The edges are followed from the project's own dependencies. Markers along a path are conjoined, and those of
several paths disjoined. Stdlib only, Python >= 3.10.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from lock_markers import (
    ALWAYS,
    NEVER,
    Marker,
    both,
    canonical,
    either,
    negation,
    parse,
    platform_marker,
    python_marker,
    without_python,
)
from lock_versions import satisfies, version_key

REQUIREMENT = re.compile(
    r"\s*([A-Za-z0-9][\w.-]*)\s*(?:\[([^\]]*)\])?\s*(@\s*\S+|[^;@]*?)\s*(?:;(.*))?", re.DOTALL
)
# Keys of dependencies that are not from an index, and the source types of their packages.
ELSEWHERE = {"git": ("git",), "url": ("url",), "path": ("directory", "file"), "file": ("file",)}
ROUNDS = 20


@dataclass(frozen=True)
class Edge:
    """A dependency on a package under a condition."""

    name: str
    marker: Marker
    extras: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict, compare=False)


def table_edges(table: dict[str, Any], extras: Collection[str] = ()) -> Iterator[Edge]:
    """Yield the edges of a table of dependencies, each a version, a table, or a list of them."""
    for name, how in table.items():
        for one in how if isinstance(how, list) else [how]:
            one = {"version": one} if isinstance(one, str) else one
            marker = both(parse(one.get("markers", ""), extras), python_marker(one.get("python", "*")))
            if "platform" in one:
                marker = both(marker, platform_marker(one["platform"]))
            if name.lower() != "python":
                yield Edge(canonical(name), marker, tuple(map(canonical, one.get("extras", ()))), one)


def line_edges(line: str, extras: Collection[str] = ()) -> Iterator[Edge]:
    """Yield the edge of a requirement (PEP 508). Its version may have Poetry's syntax and parentheses."""
    match = REQUIREMENT.fullmatch(line)
    if not match:
        raise ValueError(line)
    name, wanted, version, marker = match.groups(default="")
    how: dict[str, Any] = {
        "extras": [each.strip() for each in wanted.split(",") if each.strip()],
        "markers": marker,
    }
    if version.startswith("@"):
        url = version.lstrip("@ ")
        how["git" if url.startswith("git+") else "path" if not url.startswith("http") else "url"] = url
    else:
        how["version"] = version or "*"
    return table_edges({name: how}, extras)


def direct_edges(project: dict[str, Any], extras: Collection[str], groups: Collection[str]) -> Iterator[Edge]:
    """Yield the project's own dependencies: main, of extras, and of groups."""
    poetry, table = project.get("tool", {}).get("poetry", {}), project.get("project", {})
    optional = {canonical(name): lines for name, lines in table.get("optional-dependencies", {}).items()}
    for line in [
        *table.get("dependencies", []),
        *(each for extra in extras for each in optional.get(extra, [])),
    ]:
        yield from line_edges(line)
    # If [project] has a static list, Poetry's table only adds sources to it.
    if not (table.get("dependencies") or optional) or "dependencies" in table.get("dynamic", []):
        lists = {canonical(name): lines for name, lines in poetry.get("extras", {}).items()}
        named = {edge.name for extra in extras for line in lists.get(extra, []) for edge in line_edges(line)}
        for edge in table_edges(poetry.get("dependencies", {})):
            if not edge.details.get("optional") or edge.name in named:
                yield edge
    older = {"dev": {"dependencies": poetry.get("dev-dependencies", {})}}
    tables = {canonical(name): one for name, one in {**older, **poetry.get("group", {})}.items()}
    lists = {canonical(name): lines for name, lines in project.get("dependency-groups", {}).items()}
    waiting, seen = list(groups), set()
    while waiting:
        if (group := canonical(waiting.pop())) in seen:
            continue
        seen.add(group)
        one = tables.get(group, {})
        yield from table_edges(one.get("dependencies", {}))
        waiting += one.get("include-groups", [])
        for line in lists.get(group, []):
            if isinstance(line, str):
                yield from line_edges(line)
            else:
                waiting.append(line["include-group"])


def targets(packages: list[dict[str, Any]], edge: Edge) -> list[int]:
    """Return the indexes of the packages that an edge admits."""
    return [
        index
        for index, package in enumerate(packages)
        if canonical(package["name"]) == edge.name and admits(edge.details, package)
    ]


def admits(details: dict[str, Any], package: dict[str, Any]) -> bool:
    source = package.get("source", {})
    for key, kinds in ELSEWHERE.items():
        if key in details:
            return source.get("type") in kinds
    if "source" in details and source.get("reference", "pypi").lower() != details["source"].lower():
        return False
    return satisfies(package["version"], details.get("version", "*"))


class Graph:
    """The packages of a lock and the edges between them."""

    def __init__(self, packages: list[dict[str, Any]], direct: list[Edge]) -> None:
        self.packages = packages
        self.direct = direct
        self.by_name: dict[str, list[int]] = {}
        for index, package in enumerate(packages):
            self.by_name.setdefault(canonical(package["name"]), []).append(index)
        self.edges: dict[tuple[int, str], list[Edge]] = {}
        self.found: dict[tuple[str, str], list[int]] = {}

    def targets(self, edge: Edge) -> list[int]:
        """Return the packages that an edge admits, or all of the name: a lock is consistent in itself."""
        named = self.by_name.get(edge.name, [])
        if len(named) < 2:
            return named
        key = (edge.name, repr(sorted(edge.details.items(), key=str)))
        if key not in self.found:
            self.found[key] = targets(self.packages, edge) or named
        return self.found[key]

    def outgoing(self, index: int, extra: str) -> list[Edge]:
        """Return the dependencies of a package, or those that one of its extras adds."""
        key = (index, extra)
        if key not in self.edges:
            package = self.packages[index]
            dependencies = package.get("dependencies", {})
            if extra:
                self.edges[key] = list(self.extra_edges(package, dependencies, extra))
            else:
                self.edges[key] = [e for e in table_edges(dependencies) if not e.details.get("optional")]
        return self.edges[key]

    def extra_edges(
        self, package: dict[str, Any], dependencies: dict[str, Any], extra: str
    ) -> Iterator[Edge]:
        lists = {canonical(name): lines for name, lines in package.get("extras", {}).items()}
        known = list(table_edges(dependencies, {extra}))
        for line in lists.get(extra, []):
            for edge in line_edges(line, {extra}):
                yield from [each for each in known if each.name == edge.name] or [edge]

    def walk(self, gates: list[Marker]) -> dict[tuple[int, str], Marker]:
        """Return the condition of each (package, extra), each restricted by the package's gate."""
        reached: dict[tuple[int, str], Marker] = {}
        waiting = [(ALWAYS, edge) for edge in self.direct]
        while waiting:
            condition, edge = waiting.pop()
            condition = both(condition, edge.marker)
            for index in self.targets(edge):
                here = both(condition, gates[index])
                for extra in ("", *edge.extras):
                    before = reached.get((index, extra), NEVER)
                    after = either(before, here)
                    if after != before:
                        reached[index, extra] = after
                        waiting += [(after, each) for each in self.outgoing(index, extra)]
        return reached

    def gates(self, reached: dict[tuple[int, str], Marker]) -> list[Marker]:
        """Return for each package when it may be installed.

        Of several versions Poetry installs the highest that every edge admits and that supports the Python.
        """
        result = [ALWAYS] * len(self.packages)
        arrivals: dict[str, list[tuple[Marker, list[int]]]] = {}
        sources = [(ALWAYS, self.direct), *((marker, self.outgoing(*key)) for key, marker in reached.items())]
        for condition, edges in sources:
            for edge in edges:
                if len(self.by_name.get(edge.name, [])) > 1:
                    here = both(condition, edge.marker)
                    arrivals.setdefault(edge.name, []).append((here, self.targets(edge)))
        for name, found in arrivals.items():
            higher = NEVER
            by_version = sorted(
                self.by_name[name], key=lambda i: version_key(self.packages[i]["version"]), reverse=True
            )
            for index in by_version:
                excluded = either(*(marker for marker, fits in found if index not in fits))
                admitted = either(*(marker for marker, fits in found if index in fits))
                python = python_marker(self.packages[index].get("python-versions", "*"))
                result[index] = both(python, negation(excluded), negation(higher))
                higher = either(higher, both(result[index], admitted))
        return result


def conditions(packages: list[dict[str, Any]], direct: list[Edge]) -> list[Marker]:
    """Return the marker of each package, NEVER for an unneeded one. Raise ValueError if undecidable."""
    graph = Graph(packages, direct)
    gates = [ALWAYS] * len(packages)
    for _ in range(ROUNDS):
        reached = graph.walk(gates)
        previous, gates = gates, graph.gates(reached)
        if gates == previous:
            # Format 1.0 has the platform at the package only. The Python versions there are wrong: Poetry 1.0
            # writes those of one of several paths.
            own = [without_python(parse(package.get("marker", ""))) for package in packages]
            return [both(reached.get((i, ""), NEVER), own[i]) for i in range(len(packages))]
    names = [name for name, indexes in graph.by_name.items() if len(indexes) > 1]
    raise ValueError(f"several versions of {', '.join(names)}")
