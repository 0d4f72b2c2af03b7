"""Versions (PEP 440), and Poetry's version constraints. Stdlib only, Python >= 3.10."""

from __future__ import annotations

import re
from typing import TypeAlias

Clause: TypeAlias = tuple[str, str]  # operator and version

CLAUSE = re.compile(r"[\s,]*(\^|~=|~|={1,3}|!=|<>|<=|>=|<|>)?\s*(\*|v?\d[\w.*+!-]*)[\s,]*")
VERSION = re.compile(
    r"v?(?:(?P<epoch>\d+)!)?(?P<release>\d+(?:\.\d+)*)"
    r"(?:[-_.]?(?P<stage>alpha|a|beta|b|preview|pre|rc|c)[-_.]?(?P<pre>\d*))?"
    r"(?P<post>-\d+|[-_.]?(?:post|rev|r)[-_.]?\d*)?(?P<dev>[-_.]?dev[-_.]?\d*)?(?:\+(?P<local>[\w.-]+))?",
    re.IGNORECASE,
)


def constraint_alternatives(constraint: str) -> list[list[Clause]]:
    """Return a constraint as alternatives of (operator, version). Raise ValueError if invalid."""
    result = []
    for alternative in re.split(r"\|\|?", constraint.strip().removeprefix("(").removesuffix(")")):
        if CLAUSE.sub("", alternative).strip():
            raise ValueError(constraint)
        result.append(
            [each for operator, version in CLAUSE.findall(alternative) for each in clauses(operator, version)]
        )
    return result


def clauses(operator: str, version: str) -> list[Clause]:
    """Return the PEP 440 clauses for one clause of Poetry: `^1.2` is `>=1.2` and `<2`."""
    if version == "*":
        return []
    if operator not in ("^", "~", "~="):
        return [({"": "==", "=": "==", "===": "==", "<>": "!="}.get(operator, operator), version)]
    found = re.match(r"v?(?:\d+!)?([\d.]*\d)", version)
    if not found:
        raise ValueError(version)
    release = [int(part) for part in found[1].split(".")]
    if operator == "^":
        last = next((index for index, part in enumerate(release) if part), len(release) - 1)
    else:
        last = min(1, len(release) - 1) if operator == "~" else max(len(release) - 2, 0)
    upper = ".".join(str(part) for part in [*release[:last], release[last] + 1])
    return [(">=", version.removesuffix(".*")), ("<", upper)]


def version_key(version: str) -> tuple:
    """Return a version's sort key (PEP 440): epoch, release, stage, post-release, development release."""
    match = VERSION.fullmatch(version.strip())
    if not match:
        raise ValueError(version)
    release = [int(part) for part in match["release"].split(".")]
    while release and not release[-1]:
        release.pop()

    def number(name: str) -> int:
        return int(re.sub(r"\D", "", match[name]) or 0)

    if match["stage"]:
        stage = {"a": 0, "b": 1, "r": 2, "c": 2, "p": 2}[match["stage"][0].lower()], number("pre")
    else:
        stage = (3 if match["post"] or not match["dev"] else -1), 0
    post = number("post") if match["post"] else -1
    dev = number("dev") if match["dev"] else float("inf")
    return int(match["epoch"] or 0), tuple(release), stage, post, dev


def satisfies(version: str, constraint: str) -> bool:
    """Return whether a locked version, which may be a pre-release, satisfies a constraint."""
    return any(
        all(compare(version, *clause) for clause in each) for each in constraint_alternatives(constraint)
    )


def compare(version: str, operator: str, bound: str) -> bool:
    """Return whether a comparison of versions is true (PEP 440)."""
    key = version_key(version)
    if operator in ("==", "!="):
        if bound.endswith(".*"):
            prefix = [int(part) for part in bound.removeprefix("v").removesuffix(".*").split(".")]
            equal = [*key[1], *[0] * len(prefix)][: len(prefix)] == prefix
        else:
            local = "+" in bound
            equal = key == version_key(bound) and (not local or version.lower() == bound.lower())
        return equal == (operator == "==")
    limit = version_key(bound)
    # `<2.0` excludes 2.0rc1, and `>2.0` excludes 2.0.post1 (PEP 440).
    same = key[:2] == limit[:2]
    if operator == "<":
        return key < limit and not (same and key[2][0] < 3 and limit[2][0] == 3)
    if operator == ">":
        return key > limit and not (same and key[3] >= 0 and limit[3] < 0)
    return key <= limit if operator == "<=" else key >= limit
