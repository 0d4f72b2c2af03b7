"""Environment markers (PEP 508) as logic, and those of Poetry's constraints.

Conditions along a path of dependencies can be combined, negated and compared in this form. A marker is a
disjunction: a set of terms, each a set of comparisons and the minor versions of Python 3 for which it counts.
Stdlib only, Python >= 3.10.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import chain, permutations, product
from typing import TypeAlias

from lock_versions import compare, constraint_alternatives

Comparison: TypeAlias = tuple[str, str, str]
Term: TypeAlias = tuple[frozenset[Comparison], frozenset[int]]
Marker: TypeAlias = frozenset[Term]

MINORS = frozenset(range(100))
ALWAYS: Marker = frozenset({(frozenset(), MINORS)})
NEVER: Marker = frozenset()
OPPOSITE = {
    "<": ">=",
    ">=": "<",
    ">": "<=",
    "<=": ">",
    "==": "!=",
    "!=": "==",
    "in": "not in",
    "not in": "in",
}
MIRROR = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}

TOKEN = re.compile(r"""\s*(\(|\)|"[^"]*"|'[^']*'|===|~=|[<>=!]=|[<>]|not\s+in\b|[A-Za-z_][\w.]*)\s*""")


def canonical(name: str) -> str:
    """Return a package's, extra's or group's normalized name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def opposite(comparison: Comparison) -> Comparison:
    """Return the comparison that is true where the given one is false."""
    left, operator, right = comparison
    return left, OPPOSITE[operator], right


def either(*markers: Marker) -> Marker:
    """Return the disjunction of markers, simplified."""
    terms: dict[frozenset[Comparison], frozenset[int]] = {}
    for comparisons, minors in chain(*markers):
        terms[comparisons] = terms.get(comparisons, frozenset()) | minors
    while step := resolvent(terms):
        other, shorter, minors = step
        terms[other] -= minors
        terms[shorter] = terms.get(shorter, frozenset()) | minors
    for one, other in permutations(terms, 2):
        if one < other:
            terms[other] -= terms[one]
    return frozenset((comparisons, minors) for comparisons, minors in terms.items() if minors)


def resolvent(terms: dict[frozenset[Comparison], frozenset[int]]) -> tuple | None:
    """Return a term, its shorter form and the minors it counts for: `a or (not a and b)` is `a or b`."""
    for one, other in permutations(terms, 2):
        minors = terms[one] & terms[other]
        redundant = {opposite(each) for each in one} & other
        if minors and len(redundant) == 1 and one <= other | {opposite(each) for each in redundant}:
            return other, other - redundant, minors
    return None


def both(*markers: Marker) -> Marker:
    """Return the conjunction of markers, without the terms that contradict themselves."""
    result = ALWAYS
    for marker in markers:
        found = []
        for (some, minors), (more, others) in product(result, marker):
            comparisons = some | more
            if minors & others and not any(opposite(each) in comparisons for each in comparisons):
                found.append(frozenset({(comparisons, minors & others)}))
        result = either(*found)
    return result


def negation(marker: Marker) -> Marker:
    """Return the marker that is true where the given one is false."""
    negated = []
    for comparisons, minors in marker:
        terms = {(frozenset({opposite(each)}), MINORS) for each in comparisons}
        negated.append(either(frozenset(terms | {(frozenset(), MINORS - minors)})))
    return both(*negated)


def without_python(marker: Marker) -> Marker:
    """Return the marker without its comparisons of the Python version."""
    kept = (frozenset(each for each in some if each[0] != "python_full_version") for some, _ in marker)
    return either(*(frozenset({(comparisons, MINORS)}) for comparisons in kept))


def comparison(left: str, operator: str, right: str) -> Marker:
    """Return the marker for one comparison. `~=` becomes two, because it has no opposite."""
    operator = {"===": "==", "=": "=="}.get(operator, re.sub(r"\s+", " ", operator))
    if left.startswith('"') and right.startswith("python_") and "in" not in operator:
        left, operator, right = right, MIRROR.get(operator, operator), left
    value = right.strip("\"'")
    if operator == "~=":
        prefix = f'"{value.rpartition(".")[0]}.*"'
        return both(comparison(left, ">=", right), comparison(left, "==", prefix))
    if operator not in OPPOSITE:
        raise ValueError(f"{left} {operator} {right}")
    minor = re.fullmatch(r"\d+(\.\d+)?(\.0)?" if operator in ("<", ">=") else r"\d+(\.\d+)?\.\*", value)
    if left == "python_version" or (left == "python_full_version" and minor):
        return frozenset(
            {(frozenset(), frozenset(n for n in MINORS if holds(f"3.{n}", operator, value)))}
        ) - {(frozenset(), frozenset())}
    return frozenset({(frozenset({(left, operator, right)}), MINORS)})


def holds(version: str, operator: str, value: str) -> bool:
    if operator in ("in", "not in"):
        return (version in re.split(r"[\s,|]+", value)) == (operator == "in")
    return compare(version, operator, value)


def parse(text: str, extras: Collection[str] | None = None) -> Marker:
    """Return a marker from its text. Raise ValueError if the text is not a marker.

    Comparisons with `extra` are evaluated. None selects every extra.
    """
    if not text.strip():
        return ALWAYS
    tokens = TOKEN.findall(text)
    if TOKEN.sub("", text):
        raise ValueError(text)
    tokens = ['"' + each[1:-1] + '"' if each[0] == "'" and '"' not in each else each for each in tokens][::-1]

    def alternatives() -> Marker:
        result = conjunction()
        while tokens and tokens[-1] == "or":
            tokens.pop()
            result = either(result, conjunction())
        return result

    def conjunction() -> Marker:
        result = operand()
        while tokens and tokens[-1] == "and":
            tokens.pop()
            result = both(result, operand())
        return result

    def operand() -> Marker:
        if tokens[-1] == "(":
            tokens.pop()
            result = alternatives()
            if tokens.pop() != ")":
                raise ValueError(text)
            return result
        left, operator, right = tokens.pop(), tokens.pop(), tokens.pop()
        if "extra" in (left, right):
            name = canonical((right if left == "extra" else left).strip("\"'"))
            return ALWAYS if extras is None or (name in extras) == (operator != "!=") else NEVER
        return comparison(left, operator, right)

    try:
        result = alternatives()
    except IndexError:
        raise ValueError(text) from None
    if tokens:
        raise ValueError(text)
    return result


def text_of(marker: Marker) -> str:
    """Return a marker's text, empty for one that is always true."""
    if marker == NEVER:
        raise ValueError("a marker that is never true has no text")
    found = []
    for comparisons, minors in marker:
        shared = sorted(" ".join(each) for each in comparisons)
        found += [" and ".join([*bounds, *shared]) for bounds in ranges(minors)]
    return " or ".join(sorted(found))


def ranges(minors: frozenset[int]) -> list[list[str]]:
    """Return the comparisons of python_version for each run of consecutive minor versions."""
    result = []
    for first in sorted(n for n in minors if n - 1 not in minors):
        end = next(n for n in range(first, len(MINORS) + 1) if n not in minors)
        lower = [f'python_version >= "3.{first}"'] if first else []
        upper = [f'python_version < "3.{end}"'] if end < len(MINORS) else []
        result.append([f'python_version == "3.{first}"'] if end == first + 1 else lower + upper)
    return result


# --- Poetry's constraints ------------------------------------------------------------------------


def python_marker(constraint: str) -> Marker:
    """Return the marker for Poetry's `python = "^3.8"`."""
    return either(
        *(
            both(ALWAYS, *(python_clause(*each) for each in some))
            for some in constraint_alternatives(constraint)
        )
    )


def python_clause(operator: str, version: str) -> Marker:
    """Return the marker for one clause. `3.8` is all of 3.8.* to Poetry, but 3.8.0 in `>3.8` and `<=3.8`."""
    version = version.removesuffix(".*")
    if operator in ("==", "!=") and version.count(".") < 2:
        version += ".*"
    return comparison("python_full_version", operator, f'"{version}"')


def platform_marker(constraint: str) -> Marker:
    """Return the marker for Poetry's `platform = "win32"`, which compares sys_platform."""
    found = []
    for alternative in re.split(r"\|\|?", constraint):
        marker = ALWAYS
        for text in alternative.split(","):
            part = re.fullmatch(r"\s*(==|!=)?\s*([\w.-]+)\s*", text)
            if not part:
                raise ValueError(constraint)
            marker = both(marker, comparison("sys_platform", part[1] or "==", f'"{part[2]}"'))
        found.append(marker)
    return either(*found)
