"""The environment that releases run in: which interpreter, what pip installs, and why it could not."""

from __future__ import annotations

import functools
import glob
import hashlib
import json
import os
import pwd
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from ansible.module_utils.requirements import Unusable, canonical, declared, plan
from ansible.module_utils.site import Site, write_file

# Asked of an interpreter: where it is, which one it is, what its compiled modules are called.
ABOUT = """
import ensurepip, json, platform, sys, sysconfig
print(json.dumps([sys.base_prefix, sysconfig.get_config_var("SOABI"), platform.python_version()]))
"""
# Asked of an environment's own pip, which knows markers.
HOLDS = """
import json, sys
from pip._vendor.packaging.markers import InvalidMarker, Marker
def holds(marker):
    try:
        return not marker or Marker(marker).evaluate({"extra": ""})
    except InvalidMarker:
        return None
print(json.dumps({marker: holds(marker) for marker in json.load(sys.stdin)}))
"""
LONGEST_LOG = 15  # lines of pip's, or a command's, own words
LONGEST_LINE = 300


class BuildError(Exception):
    """A release could not be made. The first line says why; the rest is what to do, and the end of a log."""


# --- The interpreter ---------------------------------------------------------------------------


@functools.lru_cache
def about(python: str) -> list[str]:
    """Where an interpreter is at home, its SOABI and its version; nothing where it makes no environments."""
    try:
        told = subprocess.run([python, "-I", "-c", ABOUT], capture_output=True, text=True)
    except OSError:
        return []
    return json.loads(told.stdout) if told.returncode == 0 else []


def interpreter(wanted: list[str]) -> str:
    """The first interpreter of some paths, which may be patterns, that can make an environment."""
    for pattern in wanted:
        for path in sorted(glob.glob(pattern)):
            if about(path):
                return path
    raise BuildError(
        f"found no Python at {', '.join(wanted)}, expected one with its venv module there\n"
        "make converge installs what the distribution has; the site's `python` may name another."
    )


def environment_hash(tree: Path, python: str, server: str, packages: list[str], requirements: str) -> str:
    """Whatever makes two environments differ, hashed. A patch release of Python does not.

    Raises Unusable where a tree does not say what it needs.
    """
    texts = [part for pair in declared(tree, requirements).items() for part in pair]
    parts = [*about(python)[:2], *texts, server, *sorted(packages)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


# --- Building it -------------------------------------------------------------------------------


def run_as(
    site: Site, folder: Path, *command: str, given: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command as the site's user, after those who serve: a visitor must not wait for it."""
    user = pwd.getpwnam(site.name)
    variables = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(folder), "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        ("nice", *command), cwd=folder, umask=0o027,
        user=user.pw_uid, group=user.pw_gid, extra_groups=[], env=variables | environment,
        input=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
    )  # fmt: skip


def build_environment(site: Site, tree: Path, environment: Path, wanted: dict[str, Any]) -> None:
    """Build it as the site's user, for a dependency's set-up code may do anything; then it is root's.

    A virtual environment knows its own path, so it is built in place and marked when it is whole.
    """
    if (environment / ".complete").exists():
        return
    user = pwd.getpwnam(site.name)
    shutil.rmtree(environment, ignore_errors=True)
    environment.mkdir(mode=0o750)
    os.chown(environment, user.pw_uid, user.pw_gid)
    python = wanted["python"]
    made = run_as(site, environment, python, "-m", "venv", str(environment))
    if made.returncode != 0:
        raise BuildError(f"{python} makes no environment as the user {site.name}\n{end_of(made.stdout)}")

    own = str(environment / "bin/python")
    texts = declared(tree, wanted["requirements"])
    steps = plan(texts, about(python)[2], functools.partial(holding, site, own))
    # Copied in: the unfinished tree is root's alone.
    folder = environment / "requirements"
    folder.mkdir(mode=0o750)
    os.chown(folder, 0, user.pw_gid)
    for name, text in steps.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, text)

    def install(*arguments: str) -> None:
        quiet = ("--progress-bar", "off", "--no-cache-dir", "--disable-pip-version-check")
        done = run_as(
            site, folder, own, "-m", "pip", "install", *quiet, *arguments, HOME=str(environment)
        )  # fmt: skip
        if done.returncode != 0:
            raise BuildError(explained(done.stdout, about(python)[2]))

    for step in steps.steps:
        install(*step)
    # An application that pins its own server knows why; ours is for those that do not.
    if not list(environment.glob("lib/python*/site-packages/gunicorn")):
        write_file(folder / "gunicorn.txt", lacking(environment, wanted["server"]))
        install("--require-hashes", "--requirement", "gunicorn.txt")
    own_by_root(environment, user.pw_gid)
    (environment / ".complete").touch(mode=0o640)


def lacking(environment: Path, locked: str) -> str:
    """Of locked requirements those that an environment has in no version: what is there, somebody chose."""
    installed = environment.glob("lib/python*/site-packages/*.dist-info")
    names = {canonical(path.name.partition("-")[0]) for path in installed}
    requirements = re.split(r"\n(?=\S)", locked)
    return "\n".join(each for each in requirements if canonical(each.partition("==")[0]) not in names)


def holding(site: Site, python: str, markers: set[str]) -> dict[str, bool]:
    """Which of these markers hold in an environment."""
    told = run_as(site, Path("/"), python, "-I", "-c", HOLDS, given=json.dumps(sorted(markers)))
    answers = json.loads(told.stdout)
    if unknown := [marker for marker, answer in answers.items() if answer is None]:
        raise Unusable(f"found the marker {unknown[0]}, expected one that pip understands")
    return answers


def own_by_root(folder: Path, group: int) -> None:
    """Give an environment to root; who belongs to its group reads it."""
    for here, folders, files in os.walk(folder):
        for name in (".", *folders, *files):
            os.chown(os.path.join(here, name), 0, group, follow_symlinks=False)


# --- Why it could not be built -----------------------------------------------------------------

# pip's own words for what it could not build, of several versions of it.
UNBUILT = (
    r"Failed to build '([^']+)'",
    r"Failed building (?:wheel|editable) for (\S+)",
    r"Could not build wheels for ([^\s,]+)",
    r"Failed to build installable wheels .*\(([^\s,)]+)",
    r"Failed to build ([\w.-]+)$",
)
FAILED_SETUP = ("subprocess-exited-with-error", "BackendUnavailable")
MISMATCH = (r"^\s+(\S+) from \S+",)
UNREACHED = ("NewConnectionError", "NameResolutionError", "ConnectTimeoutError", "SSLError")
NOT_FOUND = (
    r"Could not find a version that satisfies the requirement (.+?) \(from ",
    r"No matching distribution found for (.+)",
)
WANTED = re.compile(r"^\s*(?:Collecting|Obtaining|Processing) (\S+)", re.M)
# What building takes and the host has not: a header, a compiler, a program that tells where a library is.
LACKING = re.compile(
    r"fatal error: (\S+\.h)\b|command '([^']+)' failed: No such file|No such file or directory: '([\w.+-]+)'"
    r"|(?:^|\s)(\w+[-_]config)\b.*not found",
    re.M,
)


def explained(log: str, version: str) -> str:
    """What pip's log says, in a line, and what can be done about it."""
    short = ".".join(version.split(".")[:2])
    if "Cannot find command 'git'" in log:
        fault, remedy = "a requirement is in a git repository, and the host has no git", "`packages: [git]`"
    elif any(word in log for word in UNREACHED):
        fault, remedy = "the host does not reach the package index", "what pip says below"
    elif name := first(NOT_FOUND, log):
        fault = f"{name} is not to be had for Python {version}"
        if "Requires-Python" in log:
            fault += ": other versions of it are for other Pythons"
        remedy = f'a version that exists for Python {short}, or another Python (`python: "3.x"`)'
    elif (name := first(UNBUILT, log)) or any(word in log for word in FAILED_SETUP):
        fault = f"{pinned(name, log)} cannot be built for Python {version}"
        if lacking := LACKING.search(log):
            fault += f", for there is no {next(filter(None, lacking.groups()))}"
        remedy = (
            f"a newer version of it that has a wheel for Python {short}; an older Python "
            f'(`python: "3.x"`); or what building it takes, such as `packages: [build-essential, '
            f"{headers(version)}, libfoo-dev]`"
        )
    elif "DO NOT MATCH THE HASHES" in log:
        name = first(MISMATCH, log) or "a package"
        fault, remedy = f"{name} is not the one that was locked", "locking the requirements anew"
    elif "ResolutionImpossible" in log or "conflicting dependencies" in log:
        fault, remedy = "the requirements contradict each other", "a lock file, or fewer pins"
    else:
        errors = re.findall(r"^ERROR: (.+)", log, re.M)
        fault, remedy = f"pip failed: {errors[-1] if errors else 'it does not say why'}", ""
    helps = f"What helps: {remedy}.\n" if remedy else ""
    return f"{fault}\n{helps}pip's log ends:\n{end_of(log)}"


def headers(version: str) -> str:
    """The package of a Python's headers."""
    own, wanted = about("/usr/bin/python3")[2:], version.split(".")[:2]
    return "python3-dev" if own and own[0].split(".")[:2] == wanted else f"python{'.'.join(wanted)}-dev"


def first(patterns: tuple[str, ...], log: str) -> str:
    for pattern in patterns:
        if match := re.search(pattern, log, re.M):
            return match[1]
    return ""


def pinned(name: str, log: str) -> str:
    """A requirement as it was asked for. Where its set-up fails pip may not name it: then it was the last."""
    asked = WANTED.findall(log)
    if not name:
        return asked[-1] if asked else "a requirement"
    matching = [one for one in asked if canonical(re.split(r"[\[<>=!~;@ ]", one)[0]) == canonical(name)]
    return matching[-1] if matching else name


def end_of(log: str) -> str:
    lines = log.rstrip().splitlines()[-LONGEST_LOG:]
    return "\n".join(line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}…" for line in lines)
