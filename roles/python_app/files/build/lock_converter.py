"""Convert poetry.lock and Pipfile.lock to requirement lines with hashes.

`uv pip install --no-deps -r` reads the lines and evaluates their markers for the target Python. It must run
in the lock's folder, because paths are relative to it. Stdlib only, Python >= 3.10.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from posixpath import isabs, normpath
from typing import Any

from lock_graph import Edge, conditions, direct_edges, targets
from lock_markers import ALWAYS, MINORS, NEVER, Comparison, Marker, canonical, either, parse, text_of

Table = dict[str, Any]

ARCHIVE = re.compile(r".*\.(whl|zip|tar\.(gz|bz2|xz))", re.IGNORECASE)
PIPFILE_SECTIONS = {"packages": "default", "dev-packages": "develop", "dev": "develop"}
MARKER_KEYS = (
    "os_name",
    "sys_platform",
    "platform_machine",
    "platform_system",
    "python_version",
    "implementation_name",
)
NOT_LOCKED = "0+not.locked.for.this.python"
# Pipenv names the public index `pypi` in every Pipfile that it creates. Private hosts have longer names.
DEFAULT_INDEX = re.compile(r"https?://pypi\.(python\.)?[a-z]+/simple/?")


class LockError(Exception):
    """A lock that cannot be converted. The message is `FILE: problem. Remedy.`"""


@dataclass
class Requirements:
    """Requirement lines, URLs of further indexes, and relative paths of local packages (without markers)."""

    lines: list[str] = field(default_factory=list)
    indexes: list[str] = field(default_factory=list)
    local: list[str] = field(default_factory=list)


@dataclass
class Converted:
    """One package of the lock: a requirement without its marker, and the file's hashes."""

    requirement: str = ""
    hashes: tuple[str, ...] = ()
    index: str = ""
    local: str = ""


def collect(file: str, command: str, packages: list[tuple[str, Converted, Marker]]) -> Requirements:
    """Return the requirements for (name, package, marker). Raise LockError if they are ambiguous."""
    result = Requirements()
    seen: dict[str, dict[str, tuple[tuple[str, ...], Marker]]] = {}
    for name, package, marker in packages:
        if marker == NEVER:
            continue
        if package.local:
            result.local.append(package.local)
            continue
        if package.index:
            result.indexes.append(package.index)
        versions = seen.setdefault(canonical(name), {})
        known = versions.get(package.requirement, ((), NEVER))
        hashes = tuple(dict.fromkeys((*known[0], *package.hashes)))
        versions[package.requirement] = (hashes, either(known[1], marker))
    for name, versions in seen.items():
        markers = [marker for _, marker in versions.values()]
        if len(markers) > 1 and (ALWAYS in markers or len(set(markers)) < len(markers)):
            raise LockError(
                f"{file}: found {' and '.join(versions)}, expected one version of {name} or markers "
                f"that distinguish them. Run `{command}` with a newer release of the tool."
            )
        for requirement, (hashes, marker) in versions.items():
            condition = f" ; {text_of(marker)}" if marker != ALWAYS else ""
            line = f"{requirement}{condition}{''.join(f' --hash={each}' for each in hashes)}"
            if not line.isprintable():
                raise LockError(f"{file}: found {line!r}, expected one line. Run `{command}`.")
            result.lines.append(line)
    return Requirements(
        sorted(result.lines), list(dict.fromkeys(result.indexes)), list(dict.fromkeys(result.local))
    )


def commit(name: str, url: str, revision: str, subdirectory: str) -> str:
    url = re.sub(r"^([\w.-]+@[^:/]+):(?!//)", r"ssh://\1/", url)
    return f"{name} @ git+{url}@{revision}" + (f"#subdirectory={subdirectory}" if subdirectory else "")


def relative(file: str, name: str, path: str) -> str:
    if isabs(path) or "://" in path:
        raise LockError(
            f"{file}: found {name} in {path}, expected a path relative to the lock. Change the path."
        )
    return normpath(path)


# --- Pipfile.lock --------------------------------------------------------------------------------


def pipfile_requirements(lock: Table, categories: Collection[str]) -> Requirements:
    """Return the requirements of the category `default` and of the given ones."""
    wanted = dict.fromkeys(["default", *(PIPFILE_SECTIONS.get(each, each) for each in categories)])
    known = sorted({"default", *lock} - {"_meta"})
    if unknown := [each for each in wanted if each not in known]:
        raise LockError(
            f"Pipfile.lock: found no category {unknown[0]}, expected one of {', '.join(known)}. "
            "Correct the category, or run `pipenv lock`."
        )
    sources = lock.get("_meta", {}).get("sources", [])
    entries = [item for each in wanted for item in lock.get(each, {}).items()]
    try:
        found = [(name, pipfile_package(name, one, sources), pipfile_marker(one)) for name, one in entries]
    except ValueError as error:
        raise LockError(f"Pipfile.lock: found {error}, expected a marker. Run `pipenv lock`.") from error
    if not found:
        raise LockError(
            f"Pipfile.lock: found no package in {', '.join(wanted)}, expected at least one. "
            f"Name a category that has packages ({', '.join(k for k in known if lock.get(k)) or 'none has'})."
        )
    return collect("Pipfile.lock", "pipenv lock", found)


def pipfile_marker(one: Table) -> Marker:
    separate = [f"{key} {one[key]}" for key in MARKER_KEYS if key in one]
    return parse(" and ".join(f"({each})" for each in [one.get("markers", ""), *separate] if each))


def pipfile_package(name: str, one: Table, sources: list[Table]) -> Converted:
    hashes = tuple(one.get("hashes", ()))
    extras = ",".join(one.get("extras", ()))
    name = f"{name}[{extras}]" if extras else name
    if one.get("git") and one.get("ref"):
        return Converted(commit(name, one["git"], one["ref"], one.get("subdirectory", "")))
    place = one.get("path") or one.get("file", "")
    if place.startswith(("https:", "http:")):
        return Converted(f"{name} @ {place}", hashes)
    if place:
        path = relative("Pipfile.lock", name, place)
        return Converted(f"{name} @ ./{path}", hashes) if ARCHIVE.fullmatch(path) else Converted(local=path)
    version = one.get("version", "")
    if version in ("", "*") and pipfile_marker(one) != ALWAYS:
        # Pipenv does not pin packages that its own Python does not need. uv fails only if the marker is true.
        return Converted(f"{name}=={NOT_LOCKED}")
    if not version.startswith("==") or not hashes:
        raise LockError(
            f"Pipfile.lock: found {name} {version} with {len(hashes)} hashes, expected ==VERSION and its "
            "hashes, git with ref, path or file. Add `markers` to the Pipfile if the package is for another "
            "platform, and run `pipenv lock`."
        )
    source = next((each for each in sources if one.get("index") in (None, each.get("name"))), None)
    if source is None and "index" in one:
        raise LockError(
            f"Pipfile.lock: found index {one['index']} for {name}, expected one of "
            f"{', '.join(each.get('name', '') for each in sources) or '_meta.sources'}. Run `pipenv lock`."
        )
    url = source["url"] if source else ""
    public = source and source.get("name") == "pypi" and DEFAULT_INDEX.fullmatch(url)
    return Converted(f"{name}{version}", hashes, "" if public else url)


# --- poetry.lock ---------------------------------------------------------------------------------


def poetry_requirements(
    lock: Table, project: Table, extras: Collection[str], groups: Collection[str]
) -> Requirements:
    """Return the requirements of the main group, and of the given groups and extras of the project.

    Since format 2.1 a package lists its groups and their markers. In older formats the edges are followed
    from the dependencies in pyproject.toml.
    """
    packages = lock.get("package", [])
    chosen = {canonical(each) for each in extras}
    selected = {"main", *(canonical(each) for each in groups)}
    version = str(lock.get("metadata", {}).get("lock-version", "1.0"))
    if version.split(".")[0] not in ("1", "2"):
        raise LockError(
            f"poetry.lock: found lock-version {version}, expected 1 or 2. "
            "Export it: `poetry export -o requirements.txt`."
        )
    try:
        check_names(lock, project, chosen, selected)
        direct = list(direct_edges(project, chosen, selected))
        check_direct(packages, direct)
        if any("groups" in each for each in packages):
            markers = [group_marker(each, chosen, selected) for each in packages]
        else:
            markers = conditions(packages, direct)
        found = [
            (package["name"], poetry_package(package, lock), marker)
            for package, marker in zip(packages, markers, strict=True)
            if marker != NEVER
        ]
    except ValueError as error:
        raise LockError(
            f"poetry.lock: found {error}, expected a marker or a version constraint. Run `poetry lock`."
        ) from error
    except KeyError as error:
        raise LockError(
            f"poetry.lock: found no {error}, expected one for each package. Run `poetry lock`."
        ) from error
    if not found:
        raise LockError(
            f"poetry.lock: found no package of {', '.join(sorted(selected))}, expected at least one. "
            "Declare the dependencies in pyproject.toml and run `poetry lock`, or name a group."
        )
    return collect("poetry.lock", "poetry lock", found)


def group_marker(package: Table, extras: Collection[str], groups: Collection[str]) -> Marker:
    """Return the marker of a package of format 2.1: one for all groups, or one by group."""
    markers = package.get("markers", "")
    return either(
        *(
            parse(markers if isinstance(markers, str) else markers.get(group, ""), extras)
            for group in package.get("groups", ["main"])
            if canonical(group) in groups
        )
    )


def poetry_package(package: Table, lock: Table) -> Converted:
    name, source = package["name"], package.get("source", {})
    kind, url = source.get("type", ""), source.get("url", "")
    older = {canonical(key): files for key, files in lock.get("metadata", {}).get("files", {}).items()}
    hashes = tuple(each["hash"] for each in package.get("files") or older.get(canonical(name), []))
    if kind == "git":
        return Converted(commit(name, url, source["resolved_reference"], source.get("subdirectory", "")))
    if kind == "url":
        subdirectory = f"#subdirectory={source['subdirectory']}" if source.get("subdirectory") else ""
        return Converted(f"{name} @ {url}{subdirectory}", hashes)
    if kind == "file":
        return Converted(f"{name} @ ./{relative('poetry.lock', name, url)}", hashes)
    if kind == "directory":
        return Converted(local=relative("poetry.lock", name, url))
    if kind not in ("", "legacy"):
        raise LockError(
            f"poetry.lock: found {name} from {kind}, expected an index, git, url, file or directory. "
            "Export the lock: `poetry export -o requirements.txt`."
        )
    if not hashes:
        raise LockError(
            f"poetry.lock: found {name} with 0 hashes, expected one for each file. Run `poetry lock`."
        )
    return Converted(f"{name}=={package['version']}", hashes, url)


def check_names(lock: Table, project: Table, extras: set[str], groups: set[str]) -> None:
    """Raise LockError if an extra or a group does not exist."""
    poetry, table = project.get("tool", {}).get("poetry", {}), project.get("project", {})
    known_extras = {
        *lock.get("extras", {}),
        *poetry.get("extras", {}),
        *table.get("optional-dependencies", {}),
    }
    known_groups = {"main", *poetry.get("group", {}), *project.get("dependency-groups", {})}
    known_groups |= {"dev"} if "dev-dependencies" in poetry else set()
    known_groups |= {group for package in lock.get("package", []) for group in package.get("groups", [])}
    for kind, wanted, known in (("extra", extras, known_extras), ("group", groups, known_groups)):
        names = sorted(canonical(each) for each in known)
        if unknown := sorted(wanted.difference(names)):
            raise LockError(
                f"poetry.lock: found no {kind} {unknown[0]}, expected one of {', '.join(names) or '(none)'}. "
                f"Correct the {kind}, or declare it in pyproject.toml and run `poetry lock`."
            )


def limits_python(comparisons: frozenset[Comparison], minors: frozenset[int]) -> bool:
    return minors != MINORS or any(left == "python_full_version" for left, _, _ in comparisons)


def check_direct(packages: list[Table], direct: list[Edge]) -> None:
    """Raise LockError if a direct dependency is not in the lock.

    Poetry omits a dependency with a marker that excludes every Python that the project supports.
    """
    for edge in direct:
        fits = targets(packages, edge)
        omitted = all(limits_python(*term) for term in edge.marker)
        if not fits and not omitted:
            there = ", ".join(each["version"] for each in packages if canonical(each["name"]) == edge.name)
            raise LockError(
                f"poetry.lock: found {f'{edge.name} {there}' if there else f'no {edge.name}'}, expected "
                f"{edge.name} {edge.details.get('version', '')}".rstrip()
                + " as in pyproject.toml. Run `poetry lock` and commit the lock."
            )
