"""What an application says it needs, from whichever file it says it in, as steps for pip.

The first of FILES that is there decides, unless the site names another. A lock file becomes pinned
requirements with their hashes, of the default group alone and for the one interpreter that they are
installed with. The application itself is never installed: it is imported from its release.
"""

from __future__ import annotations

import glob
import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import Any

LOCKS = ("uv.lock", "poetry.lock", "Pipfile.lock", "pylock.toml")
# Who writes requirements.txt beside a lock has exported it for those who install.
FILES = ("requirements.txt", *LOCKS, "pyproject.toml")

INCLUDE = re.compile(r"(?:-r|-c|--requirement|--constraint)(?:\s+|=|(?<=-[rc]))(?P<path>[^\s=].*)")
EDITABLE = re.compile(r"(?:-e|--editable)(?:\s+|=)(?P<target>.*)")
# A path, and no name: as pip tells them apart. `name @ file:` is one, too.
LOCAL = re.compile(r"\.|/|file:|[\w.+-]+/|\S+\.(whl|zip|tar\.gz)$|[\w.\[\],-]+\s*@\s*file:")
# What Debian's own pip once wrote for `pip freeze`, and no index has.
PHANTOM = re.compile(r"pkg[-_]resources==0\.0\.0$")
NAME = re.compile(r"\s*([A-Za-z0-9][\w.-]*)\s*(?:\[([^\]]*)\])?")

Table = dict[str, Any]
# Whether each of these markers (PEP 508) holds where the packages will be used.
Evaluate = Callable[[set[str]], dict[str, bool]]


class Unusable(Exception):
    """Nobody knows what to install; the message says what was found and what was expected."""


@dataclass(frozen=True)
class Plan:
    """What pip is to do: files by their name, and its arguments in each call, in the folder of those."""

    files: dict[str, str]
    steps: list[list[str]]


def declared(tree: Path, named: str = "") -> dict[str, str]:
    """The files that say what the application needs, by their path in its tree, the deciding one first."""
    main = named or next((name for name in FILES if (tree / name).is_file()), "")
    if not main:
        more = " (setup.py is not run)" if (tree / "setup.py").is_file() else ""
        raise Unusable(
            f"found no {', '.join(FILES[:-1])} or {FILES[-1]}{more}, "
            "expected one of them at the top, or its path in the site's `requirements`"
        )
    texts: dict[str, str] = {}
    waiting = [main]
    while waiting:
        name = waiting.pop(0)
        if name in texts:
            continue
        texts[name] = read(tree, main, name)
        if name.endswith("pyproject.toml"):
            waiting += dynamic_files(name, toml(name, texts[name]))
        elif kind_of(name) == "requirements":
            lines = logical_lines(texts[name])
            waiting += [path for _, path in includes(name, lines)]
            if any(own(line) for line in lines) and (tree / "pyproject.toml").is_file():
                waiting.append("pyproject.toml")
    beside = str(PurePosixPath(main).with_name("pyproject.toml"))
    if kind_of(main) in ("uv", "poetry") and (tree / beside).is_file():
        texts[beside] = read(tree, main, beside)
    return texts


def read(tree: Path, main: str, name: str) -> str:
    path = tree / name
    if not path.resolve().is_relative_to(tree.resolve()) or not path.is_file():
        raise Unusable(
            f"{main}: found {name}, expected a file of the application" if name != main
            else f"requirements: found {name}, expected a file of the application"
        )  # fmt: skip
    return text_of(path.read_bytes())


def text_of(content: bytes) -> str:
    """A text as it was meant: PowerShell's `>` writes UTF-16."""
    for mark, encoding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig")):
        if content.startswith(mark):
            return content.decode(encoding, "replace")
    return content.decode(errors="replace")


def kind_of(name: str) -> str:
    """Who wrote a file, by its name."""
    base = PurePosixPath(name).name
    if base in ("uv.lock", "poetry.lock", "Pipfile.lock"):
        return base.split(".")[0].lower()
    if re.fullmatch(r"pylock(\.[^.]+)?\.toml", base):
        return "pylock"
    return "pyproject" if base == "pyproject.toml" else "requirements"


def toml(name: str, text: str) -> Table:
    try:
        import tomllib
    except ModuleNotFoundError:  # Python 3.10, whose python3-venv brings a pip that can read it
        wheels = sorted(glob.glob("/usr/share/python-wheels/pip-*.whl"))
        sys.path += wheels
        try:
            from pip._vendor import tomli as tomllib
        finally:
            sys.path[:] = [path for path in sys.path if path not in wheels]
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Unusable(f"{name}: found no TOML, expected some: {error}") from error


def json_of(name: str, text: str) -> Table:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise Unusable(f"{name}: found no JSON, expected some: {error}") from error


# --- What becomes of them ----------------------------------------------------------------------


def plan(texts: dict[str, str], version: str, evaluate: Evaluate) -> Plan:
    """What pip has to install for the files that `declared` found, with a Python. Raises Unusable."""
    main, text = next(iter(texts.items()))
    kind = kind_of(main)
    beside = next((name for name in texts if name.endswith("pyproject.toml")), "")
    project = toml(beside, texts[beside]) if beside else {}
    if kind != "requirements" and (wanted := project.get("project", {}).get("requires-python")):
        suits(beside, wanted, version, evaluate)
    if kind == "requirements":
        return from_requirements(texts, project)
    if kind == "pyproject":
        return from_project(main, texts, project)
    lock = json_of(main, text) if kind == "pipfile" else toml(main, text)
    holds = evaluate(set(markers(lock)) | set(markers(project)) | {""})
    reader = {"uv": from_uv, "pipfile": from_pipfile, "pylock": from_pylock}.get(kind)
    found = reader(lock, holds) if reader else from_poetry(lock, project, holds)
    return locked(main, found)


def suits(name: str, wanted: str, version: str, evaluate: Evaluate) -> None:
    """A project says which Pythons it is for. A list of versions is a marker, too."""
    clauses = [re.fullmatch(r"\s*([<>=!~]+)\s*(\S+)\s*", clause) for clause in wanted.split(",")]
    marker = " and ".join(f"python_full_version {one[1]} '{one[2]}'" for one in clauses if one)
    if marker and not evaluate({marker})[marker]:
        raise Unusable(
            f"{name}: found requires-python {wanted}, and this is Python {version}; "
            "expected another in the site's `python`"
        )


def markers(node: Any) -> Iterator[str]:
    """All markers in a lock, wherever they are."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("marker", "markers"):
                yield from [value] if isinstance(value, str) else value.values()
            else:
                yield from markers(value)
    elif isinstance(node, list):
        for item in node:
            yield from markers(item)


@dataclass(frozen=True)
class Package:
    """One that a lock names: of an index, with hashes; or `elsewhere`, an address that says which commit."""

    name: str
    version: str = ""
    hashes: tuple[str, ...] = ()
    elsewhere: str = ""

    def line(self) -> str:
        where = f" @ {self.elsewhere}" if self.elsewhere else f"=={self.version}"
        return f"{self.name}{where}{''.join(f' --hash={one}' for one in self.hashes)}\n"


def locked(main: str, packages: list[Package]) -> Plan:
    """All of a lock and nothing else: so no dependency of a dependency is looked for."""
    for package in packages:
        if not package.elsewhere and not (package.version and package.hashes):
            raise Unusable(
                f"{main}: found {package.name} without a version and its hash, "
                "expected a package of an index or of a repository"
            )
    files, steps = {}, []
    # A commit is its own hash, and pip takes none for it where it wants one for all others.
    for name, some, extra in (
        ("locked.txt", [one for one in packages if one.hashes], ["--require-hashes"]),
        ("commits.txt", [one for one in packages if not one.hashes], []),
    ):
        if some:
            files[name] = "".join(sorted(one.line() for one in some))
            steps.append(["--no-deps", *extra, "--requirement", name])
    return Plan(files, steps)


def commit(url: str, commit: str, subdirectory: str = "") -> str:
    """A commit of a repository as pip reads it."""
    url = re.sub(r"^git@([^:/]+):", r"ssh://git@\1/", url)
    return f"git+{url}@{commit}" + (f"#subdirectory={subdirectory}" if subdirectory else "")


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


# --- requirements.txt and pyproject.toml -------------------------------------------------------


def logical_lines(text: str) -> list[str]:
    """Lines as pip reads them: continued ones joined, without comments and empty ones."""
    joined = re.sub(r"\\\r?\n", " ", text)
    lines = (re.sub(r"(^|\s)#.*$", "", line).strip() for line in joined.splitlines())
    return [line for line in lines if line]


def includes(name: str, lines: list[str]) -> Iterator[tuple[str, str]]:
    """The lines that read another file, and its path in the tree. Paths in a file start at the file."""
    for line in lines:
        if (match := INCLUDE.fullmatch(line)) and "://" not in match["path"]:
            yield line, normpath(str(PurePosixPath(name).parent / match["path"].strip("\"'")))


def own(line: str) -> bool:
    """Whether it is the application itself that is to be installed."""
    target = match["target"] if (match := EDITABLE.fullmatch(line)) else line
    return re.fullmatch(r"\.(/)?(\[[^\]]*\])?", target.strip("\"'")) is not None


def from_requirements(texts: dict[str, str], project: Table) -> Plan:
    main = next(iter(texts))
    files: dict[str, str] = {}
    itself: list[str] = []
    for name, text in texts.items():
        lines = logical_lines(text)
        if kind_of(name) != "requirements":
            continue
        itself += [line for line in lines if own(line)]
        kept = [line for line in lines if not own(line) and not PHANTOM.match(line)]
        for line in kept:
            target = match["target"] if (match := EDITABLE.fullmatch(line)) else line
            if LOCAL.match(target) and target[0] != "-" and "://" not in target.split("file:")[0]:
                raise Unusable(f"{name}: found {line}, expected a package of an index or of a repository")
        files[name] = "".join(f"{line}\n" for line in kept)
    needed = [line for one in itself for line in dependencies_of(project, extras_of(one))]
    # Who has locked everything has locked these, too.
    if needed and "--hash" not in "".join(files.values()):
        files[main] += "".join(f"{line}\n" for line in dict.fromkeys(needed))
    if itself and not "".join(files.values()).strip():
        raise Unusable(
            f"{main}: found {itself[0]} alone, expected the requirements, for the application itself is not "
            "installed, or a pyproject.toml with project.dependencies"
        )
    # pip starts in the folder of these files, where the path of each is as in the tree.
    return Plan(files, [["--requirement", main]])


def extras_of(line: str) -> list[str]:
    match = re.search(r"\[([^\]]*)\]", line)
    return [extra.strip() for extra in match[1].split(",")] if match else []


def dependencies_of(project: Table, extras: list[str]) -> list[str]:
    table = project.get("project", {})
    optional = {canonical(name): lines for name, lines in table.get("optional-dependencies", {}).items()}
    return [
        *table.get("dependencies", []),
        *(line for e in extras for line in optional.get(canonical(e), [])),
    ]


def dynamic_files(name: str, project: Table) -> list[str]:
    """The files that setuptools reads a project's dependencies from."""
    if "dependencies" not in project.get("project", {}).get("dynamic", []):
        return []
    table = project.get("tool", {}).get("setuptools", {}).get("dynamic", {}).get("dependencies", {})
    found = table.get("file", []) if isinstance(table, dict) else []
    paths = [found] if isinstance(found, str) else found
    return [normpath(str(PurePosixPath(name).parent / path)) for path in paths]


def from_project(main: str, texts: dict[str, str], project: Table) -> Plan:
    if files := dynamic_files(main, project):
        given = {name: text for name, text in texts.items() if name != main}
        merged = from_requirements(given, {})
        return Plan(merged.files, [[word for name in files for word in ("--requirement", name)]])
    lines = project.get("project", {}).get("dependencies")
    if lines is None:
        hint = "its poetry.lock" if "poetry" in project.get("tool", {}) else "a lock file"
        raise Unusable(f"{main}: found no project.dependencies, expected them, or {hint} beside it")
    return Plan({"dependencies.txt": "".join(f"{line}\n" for line in lines)}, [["-r", "dependencies.txt"]])


# --- Lock files --------------------------------------------------------------------------------

# A package that is wanted, and with which of its extras.
Node = tuple[str, str, str]


def reached(wanted: list[Node], edges: Callable[[Node], list[Node]]) -> set[Node]:
    """All that leads from the wanted ones."""
    found: set[Node] = set()
    waiting = list(wanted)
    while waiting:
        if (node := waiting.pop()) not in found:
            found.add(node)
            waiting += edges(node)
    return found


def from_uv(lock: Table, holds: dict[str, bool]) -> list[Package]:
    packages = lock.get("package", [])
    itself = [one for one in packages if one["source"].get("virtual", one["source"].get("editable")) == "."]
    if not itself:
        raise Unusable("uv.lock: found no project of this folder, expected it beside its pyproject.toml")

    def find(name: str, version: str) -> Table:
        return next(
            one for one in packages if one["name"] == name and version in ("", one.get("version", ""))
        )

    def nodes(dependencies: list[Table]) -> list[Node]:
        return [
            (one["name"], find(one["name"], one.get("version", "")).get("version", ""), extra)
            for one in dependencies
            if holds[one.get("marker", "")]
            for extra in ("", *one.get("extra", []))
        ]

    def edges(node: Node) -> list[Node]:
        package, extra = find(*node[:2]), node[2]
        return nodes(package.get("optional-dependencies", {}).get(extra, []) if extra
                     else package.get("dependencies", []))  # fmt: skip

    found = reached(nodes(itself[0].get("dependencies", [])), edges)
    chosen = [find(name, version) for name, version in sorted({node[:2] for node in found})]
    return [uv_package(package) for package in chosen if package is not itself[0]]


def uv_package(package: Table) -> Package:
    name, source = package["name"], package["source"]
    files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
    hashes = tuple(file["hash"] for file in files if "hash" in file)
    if "git" in source:
        url, _, fragment = source["git"].partition("#")
        url, _, query = url.partition("?")
        subdirectory = re.search(r"(?:^|&)subdirectory=([^&]+)", query)
        return Package(
            name, elsewhere=commit(url, fragment, subdirectory[1].replace("%2F", "/") if subdirectory else "")
        )
    if "url" in source:
        return Package(name, "", hashes, source["url"])
    return Package(name, package.get("version", ""), hashes if "registry" in source else ())


def from_pipfile(lock: Table, holds: dict[str, bool]) -> list[Package]:
    packages = []
    for name, one in lock.get("default", {}).items():
        if one.get("path") == "." or not holds[one.get("markers", "")]:
            continue
        if "git" in one:
            packages.append(
                Package(name, elsewhere=commit(one["git"], one["ref"], one.get("subdirectory", "")))
            )
        else:
            packages.append(
                Package(name, one.get("version", "").removeprefix("=="), tuple(one.get("hashes", ())))
            )
    return packages


def from_pylock(lock: Table, holds: dict[str, bool]) -> list[Package]:
    packages = []
    for one in lock.get("packages", []):
        name, vcs = one["name"], one.get("vcs", {})
        if one.get("directory", {}).get("path") == "." or not holds[one.get("marker", "")]:
            continue
        archive = one.get("archive", {})
        files = (
            [archive] if archive else [*one.get("wheels", []), *([one["sdist"]] if "sdist" in one else [])]
        )
        hashes = tuple(f"{kind}:{value}" for file in files for kind, value in file.get("hashes", {}).items())
        if vcs.get("type") == "git":
            where = commit(vcs.get("url", ""), vcs["commit-id"], vcs.get("subdirectory", ""))
            packages.append(Package(name, elsewhere=where))
        else:
            packages.append(Package(name, one.get("version", ""), hashes, archive.get("url", "")))
    return packages


def from_poetry(lock: Table, project: Table, holds: dict[str, bool]) -> list[Package]:
    """Of three kinds: 1.1 says a category, 2.1 the groups, and 2.0 neither, so its edges are followed."""
    packages, chosen = lock.get("package", []), []
    walked = None
    if not any("category" in one or "groups" in one for one in packages):
        walked = poetry_reached(packages, project, holds)
    for one in packages:
        condition = one.get("markers", "")
        if isinstance(condition, dict):
            condition = condition.get("main", "")
        if walked is not None:
            wanted = canonical(one["name"]) in walked
        else:
            wanted = one.get("category", "main") == "main" and "main" in one.get("groups", ["main"])
            wanted = wanted and not one.get("optional")
        if wanted and holds[condition]:
            chosen.append(poetry_package(one, lock))
    names = [package.name for package in chosen]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise Unusable(f"poetry.lock: found several versions of {twice[0]}, expected a lock of Poetry 2")
    return chosen


def poetry_package(package: Table, lock: Table) -> Package:
    name, source = package["name"], package.get("source", {})
    if source.get("type") == "git":
        where = commit(source["url"], source["resolved_reference"], source.get("subdirectory", ""))
        return Package(name, elsewhere=where)
    files = package.get("files") or lock.get("metadata", {}).get("files", {}).get(name, [])
    hashes = tuple(file["hash"] for file in files)
    if source.get("type") == "url":
        return Package(name, "", hashes, source["url"])
    return Package(name, package["version"], () if source.get("type") in ("directory", "file") else hashes)


def poetry_reached(packages: list[Table], project: Table, holds: dict[str, bool]) -> set[str]:
    """The names that a project's own dependencies lead to."""
    known: dict[str, list[Table]] = {}
    for package in packages:
        known.setdefault(canonical(package["name"]), []).append(package)

    def nodes(name: str, how: Any) -> list[Node]:
        found: list[Node] = []
        for one in how if isinstance(how, list) else [how]:
            one = one if isinstance(one, dict) else {}
            if canonical(name) in known and not one.get("optional") and holds[one.get("markers", "")]:
                found += [(canonical(name), "", extra) for extra in ("", *one.get("extras", []))]
        return found

    def edges(node: Node) -> list[Node]:
        found: list[Node] = []
        for package in known[node[0]]:
            if not node[2]:
                for name, how in package.get("dependencies", {}).items():
                    found += nodes(name, how)
            for line in package.get("extras", {}).get(node[2], []) if node[2] else []:
                found += nodes(NAME.match(line)[1], "")
        return found

    direct = project.get("tool", {}).get("poetry", {}).get("dependencies", {})
    for name in direct:
        if name != "python" and canonical(name) not in known and not nodes_optional(direct[name]):
            raise Unusable(f"poetry.lock: found no {name}, expected the lock of this pyproject.toml")
    wanted = [node for name, how in direct.items() if name != "python" for node in nodes(name, how)]
    return {name for name, _, _ in reached(wanted, edges)}


def nodes_optional(how: Any) -> bool:
    return isinstance(how, dict) and bool(how.get("optional"))
