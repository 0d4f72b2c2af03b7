"""Findings against the accepted ones, and the report: a table, JSON, a page."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from tools.audit.tools import Check, Finding
from tools.library import Failure

KEYS = {"tool", "finding", "reason"}
PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Audit: {verdict}</title>
<style>
  body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem }}
  table {{ border-collapse: collapse; width: 100% }}
  th, td {{ text-align: left; vertical-align: top; padding: .4rem .8rem .4rem 0;
           border-bottom: 1px solid #8886 }}
  .passed {{ color: #17682b }} .failed {{ color: #b3261e; font-weight: bold }}
  :root {{ color-scheme: light dark }}
  @media (prefers-color-scheme: dark) {{ .passed {{ color: #7fce93 }} .failed {{ color: #ff8a80 }} }}
</style>
<h1>Audit: <span class="{verdict}">{verdict}</span></h1>
<p>{about}</p>
<h2>Checks</h2>
{checks}
<h2>Findings</h2>
{findings}
<h2>Accepted, and no longer found</h2>
{stale}
</html>
"""


class Refused(Failure):
    """The file of accepted findings is invalid; the message has the place."""


def accepted(path: Path) -> dict[tuple[str, str], str]:
    """Return the reason of each accepted finding by its tool and ID. Raise Refused."""
    rows, reasons = yaml.safe_load(path.read_text()) or [], {}
    if not isinstance(rows, list):
        raise Refused(f"{path.name}: found {type(rows).__name__}, expected a list")
    for number, row in enumerate(rows):
        where = f"{path.name}[{number}]"
        if not isinstance(row, dict) or set(row) != KEYS:
            raise Refused(f"{where}: found {row!r}, expected the keys finding, reason and tool")
        if not all(isinstance(value, str) and value.strip() for value in row.values()):
            raise Refused(f"{where}: found {row!r}, expected text in each key")
        if (row["tool"], row["finding"]) in reasons:
            raise Refused(f"{where}: found {row['tool']} {row['finding']} again, expected it once")
        reasons[row["tool"], row["finding"]] = " ".join(row["reason"].split())
    return reasons


class Report:
    """The checks of one run, compared with the accepted findings."""

    def __init__(
        self, checks: list[Check], reasons: dict[tuple[str, str], str], about: dict[str, Any]
    ) -> None:
        self.checks, self.reasons, self.about = checks, reasons, about

    def reason(self, finding: Finding) -> str:
        """Return why a finding is accepted, or an empty string if it is not."""
        return self.reasons.get((finding.tool, finding.id), "")

    def unexplained(self, check: Check) -> list[Finding]:
        return [finding for finding in check.findings if not self.reason(finding)]

    def passed(self, check: Check) -> bool:
        return check.met and not self.unexplained(check)

    def found(self, check: Check) -> str:
        """Return the result of a check, with the number of its findings."""
        if not check.findings:
            return check.found or check.expected
        words = f"{len(self.unexplained(check))} findings, and {self._explained(check)} accepted"
        return f"{check.found}; {words}" if check.found else words

    def _explained(self, check: Check) -> int:
        return len(check.findings) - len(self.unexplained(check))

    @property
    def findings(self) -> list[Finding]:
        return [finding for check in self.checks for finding in check.findings]

    @property
    def stale(self) -> list[tuple[str, str]]:
        """Return the accepted findings that the tools of this run did not report."""
        ran = {check.tool for check in self.checks}
        found = {(finding.tool, finding.id) for finding in self.findings}
        return [key for key in self.reasons if key[0] in ran and key not in found]

    @property
    def failed(self) -> bool:
        return not self.checks or not all(map(self.passed, self.checks))

    def table(self) -> str:
        """Return the report as text."""
        rows = [("check", "expected", "found")]
        rows += [(check.name, check.expected, self.found(check)) for check in self.checks]
        widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
        marks = ["      ", *("passed" if self.passed(check) else "FAILED" for check in self.checks)]
        lines = [
            f"{mark}  {row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]}".rstrip()
            for mark, row in zip(marks, rows, strict=True)
        ]
        for check in self.checks:
            lines += [f"Not accepted: {f.tool}, {f.id}: {f.found}" for f in self.unexplained(check)]
        lines += [f"Accepted, and no longer found: {tool}, {name}" for tool, name in self.stale]
        return "\n".join(lines)

    def data(self) -> dict[str, Any]:
        """Return the report as data for JSON."""
        return {
            "passed": not self.failed,
            "about": self.about,
            "checks": [
                {
                    "name": check.name,
                    "expected": check.expected,
                    "found": self.found(check),
                    "passed": self.passed(check),
                    "findings": [
                        {"tool": f.tool, "id": f.id, "found": f.found, "accepted": self.reason(f) or None}
                        for f in check.findings
                    ],
                }
                for check in self.checks
            ],
            "stale": [{"tool": tool, "finding": name} for tool, name in self.stale],
        }

    def page(self) -> str:
        """Return the report as an HTML page without external files."""
        checks = ((verdict(self.passed(c)), c.name, c.expected, self.found(c)) for c in self.checks)
        findings = (
            (verdict(bool(self.reason(f))), f.tool, f.id, f.found, self.reason(f) or "not accepted")
            for f in self.findings
        )
        return PAGE.format(
            verdict=verdict(not self.failed),
            about=html.escape(", ".join(f"{name} {value}" for name, value in self.about.items())),
            checks=rendered(("", "check", "expected", "found"), checks),
            findings=rendered(("", "tool", "finding", "found", "why it is accepted"), findings),
            stale=rendered(("tool", "finding"), self.stale),
        )

    def write(self, folder: Path) -> None:
        (folder / "report.json").write_text(json.dumps(self.data(), indent=2, ensure_ascii=False) + "\n")
        (folder / "report.html").write_text(self.page())


def verdict(good: bool) -> str:
    return "passed" if good else "failed"


def rendered(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return an HTML table, or a sentence if it has no rows."""
    lines = []
    for row in rows:
        cells = "".join(
            f'<td class="{cell}">{cell}</td>'
            if cell in ("passed", "failed")
            else f"<td>{html.escape(cell)}</td>"
            for cell in row
        )
        lines.append(f"<tr>{cells}</tr>")
    if not lines:
        return "<p>None.</p>"
    heads = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    return "\n".join(["<table>", f"<tr>{heads}</tr>", *lines, "</table>"])
