"""Explain requirements that uv cannot read, find or combine."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ansible_collections.decanter.stack.plugins.module_utils.build_failure import (
    REQUIREMENT,
    Explanation,
    Failure,
    dotted,
    search,
)

LOCK = "lock the requirements again"
# Pattern of the error or a cause, fault, remedy; {0} is the first group.
FILES = (
    (
        r"^The requested interpreter resolved to Python \S{1,20}, which is incompatible with the project's "
        r"Python requirement: `([^`]{1,80})`",
        "the application requires Python {0}, but the build uses Python {python}",
        "set the site's `python` to such a version, or change requires-python in pyproject.toml",
    ),
    (
        r"must have a hash, but none were provided for: (.{1,200})$",
        "{0} has no hash, although other requirements have one",
        LOCK + " with hashes for all of them",
    ),
    (
        r"versions pinned with `==`, but found: (.{1,200})$",
        "{0} has a hash but is not pinned with ==",
        LOCK,
    ),
    (
        r"^Extra `([^`]{1,100})` is not defined|^Requested extra not found: (.{1,100})$",
        "the application has no extra {0}",
        "correct `install`, or add {0} to [project.optional-dependencies] in pyproject.toml",
    ),
    (
        r"^Group `([^`]{1,100})` is not defined|^The dependency group '([^']{1,100})' was not found",
        "the application has no dependency group {0}",
        "correct `install`, or add {0} to [dependency-groups] in pyproject.toml",
    ),
    (
        r"^The lockfile at `([^`]{1,200})` needs to be updated",
        "{0} does not match pyproject.toml",
        "run `uv lock` in the repository and commit {0}",
    ),
    (
        r"^Unable to find lockfile at `([^`]{1,200})`",
        "{0} does not exist",
        "run `uv lock` in the repository and commit {0}",
    ),
    (
        r"^`([^`]{1,100})` references a workspace",
        "{0} is not a member of the uv workspace",
        "add its folder to [tool.uv.workspace] members, and check that the release contains the folder",
    ),
    (
        r"^Package metadata name `([^`]{1,100})` does not match given name",
        "{subject}: the package's own name is {0}",
        "use that name in the requirement",
    ),
    (
        r"^Distribution not found at: \w{1,8}://(\S{1,300})",
        "{0} does not exist",
        "correct the path in the requirements; a release contains only the files of the source",
    ),
    (
        r"^`([^`]{1,300})` does not appear to be a Python project",
        "{0} contains no pyproject.toml and no setup.py",
        "correct the path in the requirements, or add a pyproject.toml",
    ),
    (
        r"^No interpreter found (.{1,200})$",
        "no interpreter was found {0}",
        "set the site's `python` to a version that the host provides",
    ),
    (
        r"^Failed to extract archive: (\S{1,200})",
        "{subject}: the file {0} is damaged",
        "run the deploy again; if it fails again, report it to the index's operator",
    ),
    (r"^File not found: (.{1,200})$", "{0} does not exist", "correct the site's `requirements`"),
)  # fmt: skip
REMEDIES = {
    "[": "set `requirements` to a requirements file, pyproject.toml, or the lock file of your tool",
    "<": "resolve the merge conflict in the file",
}


def requirements(failure: Failure, python: str, packages: Mapping[str, str]) -> Explanation | None:
    """Return what is wrong with a requirements file, a lock file, pyproject.toml or a file named there."""
    for text in (failure.error, *failure.causes):
        if text.startswith("Hash mismatch for"):
            name = search(r"`([^`]{1,200})`", text)
            return (
                f"{name}: the downloaded file has another hash than the locked one",
                f"{LOCK} if the index replaced the file on purpose; otherwise treat the file as hostile",
            )
        for pattern, fault, remedy in FILES:
            if found := search(pattern, text):
                names = {"python": python, "subject": failure.subject or "a requirement"}
                return fault.format(found, **names), remedy.format(found)
    error, cause = failure.error, failure.causes[-1] if failure.causes else ""
    if place := search(r"^Couldn't parse requirement in `([^`]{1,200})`", error):
        line = failure.detail[-2] if len(failure.detail) > 2 and failure.detail[-1].startswith("^") else ""
        problem = failure.detail[0] if line else cause
        return (
            f"{place}: invalid requirement `{line}`: {problem}",
            "correct that line, such as `flask==3.0.0`",
        )
    if match := re.match(r"Unexpected '(.)', expected (.{1,150}): (\S{1,200}):(\d{1,9}):\d{1,9}$", error):
        character, expected, path, line = match.groups()
        return (
            f"{path}, line {line}: found {character!r}, expected {expected}",
            REMEDIES.get(
                character, "correct that line, or export the requirements of your tool as a requirements file"
            ),
        )
    if place := search(r"^Error parsing included file in `([^`]{1,200})`", error):
        return f"{place}: an included file cannot be read: {cause}", "commit that file, or correct the path"
    if place := search(r"^Failed to parse:? `?([^`\s]{1,300})", error):
        position = search(r"TOML parse error at (line \d{1,9}, column \d{1,9})", "\n".join(failure.causes))
        return f"{place}{f', {position}' if position else ''}: {failure.detail[-1]}", "correct that file"
    return None


# --- The resolver ------------------------------------------------------------------------------


def solution(failure: Failure, python: str, packages: Mapping[str, str]) -> Explanation | None:
    """Return why no version of the requirements fits this Python, the index and one another."""
    if not failure.error.startswith("No solution found") and not any(
        cause.startswith("No solution found") for cause in failure.causes
    ):
        return None
    text = failure.causes[-1] if failure.causes else ""
    first = text.split("we can conclude", 1)[0]
    hints = " ".join(failure.hints)
    wanted = (
        search(rf"you require ({REQUIREMENT})", text)
        or search(rf"your project depends on ({REQUIREMENT})", text)
        or search(rf"depends on ({REQUIREMENT}), we can conclude that (?:your|the)", text)
        or "a requirement"
    )
    prefix, short = "", dotted(python)
    if failure.subject and "Failed to resolve requirements from" in failure.chain:
        prefix = f"{failure.subject} cannot be built for Python {python}: its build requires {wanted}: "

    if needed := search(r"does not satisfy Python([<>=!~][^\s]{1,60}) ", first):
        name = search(rf"and ({REQUIREMENT}) depends on Python", first) or wanted
        if not name.startswith(re.split(r"[\[<>=!~]", wanted)[0]):
            name = f"{name} (required by {wanted})"
        if allowed := search(r"the requested Python version \(([^)]{1,80})\)", first):
            return (
                f"{name} requires Python {needed}, but requires-python of the application allows {allowed}",
                f'set requires-python = "{needed}" in pyproject.toml and {LOCK}',
            )
        return (
            f"{prefix}{name} requires Python {needed}, but the build uses Python {python}",
            f'use a version of it for Python {short}, or another Python (`python: "3.x"`)',
        )
    if match := re.search(rf"({REQUIREMENT}) has no wheels with a matching ([\w ]{{1,60}}?) tag", text):
        tags = search(r"(?:tags?|platforms?): (.{1,200})", hints).replace("`", "")
        exist = f" (wheels exist for {tags})" if tags else ""
        if "platform" in match[2]:
            return (
                f"{prefix}{match[1]} has no wheel for this platform and no source distribution{exist}",
                'remove it, or limit it with a marker such as `; sys_platform == "win32"`',
            )
        return (
            f"{prefix}{match[1]} has no wheel for Python {python} and no source distribution{exist}",
            f'use a version that has a wheel for Python {short}, or another Python (`python: "3.x"`)',
        )
    if "was not found in the package registry" in first:
        return (
            f"{prefix}{wanted} does not exist in the package index",
            "correct its name, or add the index that has it to `indexes`",
        )
    if "was not found in the provided package locations" in first:
        return (
            f"{prefix}{wanted} is not in --find-links, and --no-index excludes the package index",
            "add a wheel of it to that folder, or remove --no-index",
        )
    only = search(rf"only ({REQUIREMENT}) is available", first)
    if "there is no version of" in first or only:
        name = search(rf"there is no version of ({REQUIREMENT})", first) or wanted
        latest = f": only {only} exists" if only else ""
        return f"{prefix}{name} does not exist in the package index{latest}", "require a version that exists"
    return (
        f"{prefix}the requirements conflict: {facts(text)}",
        "change one of these pins, or use a lock file, which has no conflicts",
    )


def facts(text: str) -> str:
    """Return uv's premises of a conflict without its conclusions."""
    text = re.sub(r",? ?(?:and )?we can conclude that .{1,600}?(?:\.(?= And | Because |$)|$)", "; ", text)
    text = re.sub(r"\b(?:And because|Because|we know from \(\d{1,3}\) that) ", "", text)
    text = re.sub(r"(?:\band )?your project requires [^;]{1,300}", "", text)
    text = text.replace("you require", "the requirements contain").replace("your project", "the application")
    return re.sub(r"(?: ?; ?)+", "; ", text).strip("; ")
