"""Parse the output of each tool into checks: the expected and the found result, and findings."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from tools.library import Failure

OBSERVATORY_SCORE = 130
SLOWEST_MS = 1000  # the maximum p99 of a client during an attack


class Unreadable(Failure):
    """The output of a tool cannot be parsed. The tool may have failed, so this is an error."""


@dataclass(frozen=True)
class Finding:
    """A fault that a tool reports. It fails the audit unless it is accepted with a reason."""

    tool: str
    id: str
    found: str


@dataclass(frozen=True)
class Check:
    """One line of the report. `met` does not consider the findings."""

    tool: str
    name: str
    expected: str
    found: str
    met: bool = True
    findings: list[Finding] = field(default_factory=list)


def parsed(tool: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise Unreadable(f"{tool}: expected JSON, got {text[:500]!r}") from error


def testssl(text: str) -> list[Check]:
    """Parse testssl.sh's --jsonfile. Tests that could not run (WARN, FATAL) are findings, too."""
    rows = parsed("testssl", text)
    by_id = {row["id"]: row["finding"] for row in rows}
    if "overall_grade" not in by_id:
        raise Unreadable(f"testssl: expected a grade, got {rows[-3:]}")
    capped = [row["finding"] for row in rows if row["id"].startswith("grade_cap_reason")]
    grade = by_id["overall_grade"]
    found = f"{grade} ({by_id.get('final_score', '?')})" + "".join(f"; {reason}" for reason in capped)
    # testssl tests each address of a name.
    findings = {
        (row["id"], row["finding"]): Finding("testssl", row["id"], f"{row['severity']}: {row['finding']}")
        for row in rows
        if row["severity"] not in ("OK", "INFO", "DEBUG")
    }
    return [
        Check("testssl", "testssl, grade", "A+", found, grade == "A+"),
        Check("testssl", "testssl", "nothing NOT ok", "", findings=list(findings.values())),
    ]


def sslyze(text: str, profile: str) -> list[Check]:
    """Parse sslyze's text. Each line below the verdict is a difference from a profile."""
    verdict = re.search(r"^\s*\S+:\d+: (OK|FAILED|ERROR) - (.+)$", text, re.M)
    if verdict is None or verdict[1] == "ERROR":
        raise Unreadable(f"sslyze: expected a verdict, got {text[-500:]!r}")
    differences = re.findall(r"^\s+\* (\w+): (.+)$", text[verdict.end() :], re.M)
    if (verdict[1] == "OK") == bool(differences):
        raise Unreadable(f"sslyze: expected reasons where it fails and none elsewhere, got {text[-500:]!r}")
    tool = f"sslyze {profile}"
    findings = [Finding(tool, name, found) for name, found in differences]
    return [Check(tool, f"sslyze, Mozilla intermediate {profile}", "compliant", "", findings=findings)]


def observatory(text: str) -> list[Check]:
    """Parse the scanner's JSON."""
    result = parsed("observatory", text)
    if "scan" not in result:
        raise Unreadable(f"observatory: expected a scan, got {result}")
    scan, tests = result["scan"], result["tests"]
    findings = [
        Finding("observatory", name, f"{test['result']} ({test['scoreModifier']})")
        for name, test in tests.items()
        if not test["pass"]
    ]
    met = scan["grade"] == "A+" and scan["score"] >= OBSERVATORY_SCORE
    expected, found = f"A+, at least {OBSERVATORY_SCORE}", f"{scan['grade']}, {scan['score']}"
    return [Check("observatory", "MDN Observatory", expected, found, met, findings)]


def gixy(text: str) -> list[Check]:
    """Parse gixy-ng's JSON."""
    findings = [
        Finding("gixy", row["plugin"], f"{row['severity']}: {row['reason']} ({row['file']}:{row['line']})")
        for row in parsed("gixy", text)
    ]
    return [Check("gixy", "gixy-ng", "0 findings", "", findings=findings)]


def served(visitor: dict[str, Any]) -> tuple[bool, str]:
    """Return whether a client got every page in time, and the result as text."""
    lost = visitor["requests"] - visitor["outcomes"].get("200", 0)
    others = {name: count for name, count in visitor["outcomes"].items() if name != "200"}
    words = f"{lost} of {visitor['requests']} requests failed, p99 {visitor['p99_ms']:.0f} ms"
    met = lost == 0 < visitor["requests"] and visitor["p99_ms"] <= SLOWEST_MS
    return met, words + (
        f" ({', '.join(f'{count} {name}' for name, count in others.items())})" if others else ""
    )


def slow(text: str, kind: str, visitor: dict[str, Any]) -> list[Check]:
    """Parse slowhttptest's text, and add the measurements of another client at the same time."""
    plain = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)
    ended = re.search(r"Test ended on (\d+)\w* second\s+Exit status:\s*(.+)", plain)
    opened = re.findall(r"^connected:\s+(\d+)", plain, re.M)
    if ended is None or not opened:
        raise Unreadable(f"slowhttptest: expected how it ended, got {plain[-500:]!r}")
    met, words = served(visitor)
    held = max(map(int, opened))
    if ended[2].strip() == "No open connections left":
        after = f"the last of {held} slow connections was closed after {ended[1]} s"
    else:
        # Except for headers, nginx's timeouts apply between two reads or writes.
        after = f"of {held} slow connections some were alive after {ended[1]} s"
    expected = f"another visitor: 0 failed, p99 ≤ {SLOWEST_MS} ms"
    return [Check("slowhttptest", f"slowhttptest, slow {kind}", expected, f"{words}; {after}", met)]


def flood(attacker: dict[str, Any], visitor: dict[str, Any], quiet: dict[str, Any]) -> list[Check]:
    """Compare the counts of wrk.lua, and the measurements of another client during and before the flood."""
    met, words = served(visitor)
    requests = attacker["requests"]
    per_second = requests / attacker["seconds"]
    found = f"{words}, {quiet['p99_ms']:.0f} ms without a flood"
    refused = f"{attacker['refused']} of {requests} requests rejected with 429, {per_second:.0f} a second"
    if attacker["other"] or attacker["broken"]:
        refused += f"; {attacker['other']} other responses, {attacker['broken']} broken connections"
    return [
        Check("flood", "flood, another visitor", f"0 failed, p99 ≤ {SLOWEST_MS} ms", found, met),
        Check(
            "flood",
            "flood, attacker",
            "most requests rejected with 429",
            refused,
            attacker["refused"] > requests / 2,
        ),
    ]
