"""Plan the installation of an application: its own files and the site's `install`, resolved by uv."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from application import INCLUDE, ApplicationError, is_package, json_of, kind_of, text_of, texts_of, toml
from lock_converter import LockError, Requirements, pipfile_requirements, poetry_requirements
from packaging.utils import canonicalize_name
from requirement_lines import LOCAL, blocks, is_fixed, keep_versions, name_in, resolve_path, without_comments
from uv import Uv

# Debian's own pip once wrote this line for `pip freeze`; no index has the package.
PHANTOM = 'pkg-resources ; python_version < "0"\n'
COMPILE = ("pip", "compile", "--no-header", "--no-annotate", "--no-strip-markers", "--emit-build-options")


@dataclass
class Plan:
    """The installation of one environment."""

    packages: dict[str, str]  # by normalised name: version, hashes and origin
    options: str  # options of all packages, such as an index
    install: list[list[str]]  # the arguments of each call of uv
    markers: dict[str, str]  # the site's Python, for conditions such as `python_version < "3.11"`
    local: list[Path] = field(default_factory=list)  # folders of packages that belong to the release itself

    @property
    def names(self) -> set[str]:
        return set(self.packages)

    @property
    def text(self) -> str:
        """Return all inputs of the installation: equal texts are equal environments."""
        return self.options + "".join(text for _, text in sorted(self.packages.items()))

    def add(self, requirements: Iterable[str]) -> None:
        """Add requirements, each with its options and hashes. Other lines apply to all packages."""
        for one in requirements:
            if name := name_in(one, self.markers):
                self.packages[name] = self.packages.get(name, "") + one
            else:
                self.options += one


@dataclass
class Wanted:
    """The site's `install`, by kind."""

    requirements: list[str]
    extras: list[str]
    groups: list[str]
    own_package: bool  # whether `install` contains the application's own package

    @classmethod
    def of(cls, install: Iterable[str]) -> Wanted:
        """Sort `.[extra]`, `group:NAME` and requirements."""
        wanted = cls([], [], [], False)
        for one in install:
            if match := re.fullmatch(r"\.(?:\[([^\]]+)\])?", one):
                wanted.own_package = True
                wanted.extras += [extra.strip() for extra in (match[1] or "").split(",") if extra.strip()]
            elif one.startswith("group:"):
                wanted.groups.append(one.removeprefix("group:"))
            else:
                wanted.requirements.append(one)
        return wanted

    @property
    def options(self) -> list[str]:
        """Return extras and groups as options of uv."""
        return [
            *(f"--extra={extra}" for extra in self.extras),
            *(f"--group={group}" for group in self.groups),
        ]


def make_plan(uv: Uv, name: str, install: list[str], resolved: Path) -> Plan:
    """Return the plan for a requirements file of the tree and the site's `install`.

    `resolved` contains the versions of the previous release, which stay as long as they satisfy the
    requirements, and receives the new ones. Raise ApplicationError if the files do not permit a plan, and
    CommandError if uv does not find a solution.
    """
    wanted, kind = Wanted.of(install), kind_of(name)
    try:
        if kind == "uv":
            plan = from_uv_lock(uv, name, wanted)
        elif kind == "pylock":
            plan = from_pylock(uv, name, wanted)
        elif kind in ("poetry", "pipfile"):
            plan = from_other_lock(uv, name, kind, wanted)
        else:
            return with_own_package(uv, name, from_requirements(uv, name, kind, wanted, resolved))
    except LockError as error:
        raise ApplicationError(str(error)) from error
    if wanted.own_package and uv.tree not in plan.local:
        plan.local.append(uv.tree)
    return with_own_package(uv, name, with_additions(uv, plan, wanted.requirements))


def with_own_package(uv: Uv, name: str, plan: Plan) -> Plan:
    """Add the application's own package to a plan. Raise ApplicationError if nothing is installed at all."""
    if is_package(uv.tree) and uv.tree not in plan.local:
        plan.local.append(uv.tree)
    if not plan.names:
        raise ApplicationError(
            f"{name}: found no requirement, expected at least Flask. Add it, or name it in `install`."
        )
    return plan


def from_requirements(uv: Uv, name: str, kind: str, wanted: Wanted, resolved: Path) -> Plan:
    """Resolve a requirements.txt or a project's metadata, together with the site's additions."""
    text = texts_of(uv.tree, name) if kind == "requirements" else ""
    locked = "--hash" in text
    additions = [] if locked else wanted.requirements
    sources, options = [name], []
    if kind == "project":
        options = wanted.options
    elif wanted.own_package or wanted.groups:
        additions = [*additions, *editable_requirement(wanted.extras)] if wanted.own_package else additions
        options = [f"--group=pyproject.toml:{group}" for group in wanted.groups]
    if additions:
        sources.append(uv.write("install.in", "".join(f"{line}\n" for line in additions)))
    if re.search(r"index-url|--no-index|(^|\s)-i\s|--find-links|(^|\s)-f\s", text, re.M):
        options += ["--emit-index-url", "--emit-find-links"]
    if not locked:
        keep_versions(resolved)
        options += ["--generate-hashes", f"--output-file={resolved}"]
    overrides = uv.write("overrides.txt", PHANTOM)
    python = f"--python={uv.python}"
    read = uv.read_cached if locked and is_fixed(text) else uv.read
    found = read(*COMPILE, *options, python, f"--overrides={overrides}", *sources)
    if not locked:
        found = resolved.read_text()  # With `--quiet`, uv prints nothing if it writes a file.
    plan = plan_of(uv, name, found)
    if kind == "project" and name in ("setup.py", "setup.cfg"):
        plan.local.append(uv.tree)
    if locked:
        # Install with the hashes of the file, not with the current hashes of the index.
        plan.install[0] += [
            "--constraints",
            hashed_constraints(uv, text),
            *([] if plan.local else ["--require-hashes"]),
        ]
        plan.add(f"{lines}\n" for lines in blocks(without_comments(text)))
        return with_additions(uv, plan, [*wanted.requirements])
    return plan


def editable_requirement(extras: list[str]) -> list[str]:
    return [f"-e .[{','.join(extras)}]" if extras else "-e ."]


def hashed_constraints(uv: Uv, text: str) -> str:
    """Write the requirements without includes and local packages as constraints. Return the path."""
    logical = re.sub(r"\\\r?\n", " ", text).splitlines()
    kept = [line for line in logical if not (INCLUDE.match(line) or LOCAL.match(line.strip()))]
    return uv.write("constraints.txt", "\n".join(kept) + "\n")


def plan_of(uv: Uv, name: str, text: str, *options: str) -> Plan:
    """Return the plan for resolved requirements. Local folders belong to the release."""
    local, lines, written = [], [], []
    for line in blocks(text):
        match = LOCAL.match(line)
        path = match and resolve_path(uv.tree, name, match["path"] or match["editable"] or match["bare"])
        if path and path.is_dir():
            local.append(path)
            continue
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path and path.is_file() else ""
        lines.append(f"{line}\n    # {content}\n" if content else f"{line}\n")
        if links := re.match(r"--find-links[\s=]+(?![\w+]+:|/)(\S+)", line):
            # uv resolves paths relative to the file that contains them. The plan's text has no absolute path.
            line = f"--find-links {resolve_path(uv.tree, name, links[1])}"
        written.append(f"{line}\n")
    arguments = [*uv.pip_install, *options, "--requirements", uv.write("resolved.txt", "".join(written))]
    has_any = any(not line.startswith("-") and line.strip() for line in lines)
    plan = Plan({}, "", [arguments] if has_any else [], uv.markers, local)
    plan.add(lines)
    return plan


def with_additions(uv: Uv, plan: Plan, additions: list[str]) -> Plan:
    """Add requirements of the site to a locked plan. Its versions do not change."""
    if not additions:
        return plan
    known = [line for text in plan.packages.values() for line in blocks(text)]
    pins = [re.split(r"\s(?:--hash|\\)", line, maxsplit=1)[0] for line in known]
    pins = [pin for pin in pins if re.match(r"[A-Za-z0-9]", pin) and "==" in pin]
    constraints = uv.write("locked.txt", "\n".join(pins) + "\n")
    source = uv.write("install.in", "".join(f"{line}\n" for line in additions))
    found = uv.read(
        *COMPILE, "--generate-hashes", f"--python={uv.python}", f"--constraints={constraints}", source
    )
    added = [line for line in blocks(found) if line and name_in(line, uv.markers) not in plan.packages]
    if added:
        file = uv.write("additions.txt", "\n".join(added) + "\n")
        plan.install.append([*uv.pip_install, "--requirements", file])
        plan.add(f"{line}\n" for line in added)
    return plan


def from_uv_lock(uv: Uv, name: str, wanted: Wanted) -> Plan:
    """Return the plan for a uv.lock, with the indexes that it contains."""
    folder = str((uv.tree / name).parent)
    common = ["--directory", folder, "--frozen", "--no-dev", f"--python={uv.python}", *wanted.options]
    text = uv.read("export", "--format=requirements.txt", "--no-header", "--no-annotate", *common)
    plan = plan_of(uv, name, text)
    plan.install = [
        ["sync", "--active", "--inexact", "--no-install-workspace", "--no-install-local", *common]
    ]
    # The same version from another index is another package.
    for package in toml(uv.tree / name).get("package", []):
        known, registry = canonicalize_name(package["name"]), package.get("source", {}).get("registry")
        if registry and known in plan.packages:
            plan.packages[known] += f"    # from {registry}\n"
    return plan


def from_pylock(uv: Uv, name: str, wanted: Wanted) -> Plan:
    """Return the plan for a pylock.toml (PEP 751). Its local folders belong to the release."""
    path = uv.tree / name
    packages = toml(path).get("packages", [])
    head, *texts = re.split(r"(?m)^(?=\[\[packages\]\])", text_of(path.read_bytes()))
    if len(texts) != len(packages):
        raise ApplicationError(
            f"{name}: found packages in a form that no tool writes, expected [[packages]]. Lock again."
        )
    local, kept = [], [head]
    found: dict[str, str] = {}
    for text, package in zip(texts, packages, strict=True):
        if "directory" in package:
            local.append(resolve_path(uv.tree, name, package["directory"].get("path", ".")))
        else:
            kept.append(text)
            own = canonicalize_name(package["name"])
            pin = f"{own}=={package['version']}\n" if "version" in package else ""
            found[own] = found.get(own, "") + pin + text
    file = path.with_name("pylock.decanter.toml")
    file.write_text("".join(kept))
    install = [
        *uv.pip_install[:-1],
        "--preview-features=pylock",
        *wanted.options,
        "--requirements",
        str(file),
    ]
    return Plan(found, head, [install], uv.markers, local)


def from_other_lock(uv: Uv, name: str, kind: str, wanted: Wanted) -> Plan:
    """Return the plan for a poetry.lock or a Pipfile.lock."""
    path = uv.tree / name
    if kind == "poetry":
        project = toml(path.with_name("pyproject.toml"))
        found: Requirements = poetry_requirements(toml(path), project, wanted.extras, wanted.groups)
    else:
        found = pipfile_requirements(json_of(path), wanted.groups)
    indexes = [word for url in found.indexes for word in ("--index", os.path.expandvars(url))]
    plan = plan_of(uv, name, "\n".join(found.lines), *indexes)
    plan.options += "".join(f"{url}\n" for url in found.indexes)
    plan.local = [resolve_path(uv.tree, name, folder) for folder in found.local]
    return plan
