"""The audit parses the output of its tools, and compares their findings with the accepted findings."""

from __future__ import annotations

import json
import re

import pytest
from repository import ROOT

from tools.audit import report, tools

# Output of the tools, shortened.
TESTSSL = [
    {"id": "engine_problem", "ip": "/", "severity": "WARN", "finding": "No engine or GOST support"},
    {"id": "SSLv2", "ip": "harbour.test/192.0.2.1", "severity": "OK", "finding": "not offered"},
    {
        "id": "BREACH",
        "ip": "harbour.test/192.0.2.1",
        "severity": "MEDIUM",
        "finding": "potentially VULNERABLE",
    },
    {"id": "final_score", "ip": "harbour.test/192.0.2.1", "severity": "INFO", "finding": "96"},
    {"id": "overall_grade", "ip": "harbour.test/192.0.2.1", "severity": "OK", "finding": "A+"},
]
SSLYZE = """
 COMPLIANCE AGAINST TLS CONFIGURATION
 ------------------------------------

    Checking results against Mozilla's "intermediate" configuration. See https://ssl-config.mozilla.org/ for more details.

    harbour.test:443: """  # noqa: E501  the tool prints one line
FAILED = """FAILED - Not compliant.
        * maximum_certificate_lifespan: Certificate life span is 3650 days, should be less than 366.
        * tls_curves: TLS curves {'secp521r1'} are supported, but should be rejected.
"""
OBSERVATORY = {
    "scan": {"grade": "A+", "error": None, "score": 130, "statusCode": 200},
    "tests": {
        "cookies": {"pass": True, "result": "cookies-not-found", "scoreModifier": 0},
        "x-frame-options": {"pass": False, "result": "x-frame-options-not-implemented", "scoreModifier": -20},
    },
}
GIXY = [
    {
        "plugin": "hsts_header",
        "severity": "MEDIUM",
        "reason": "No Strict-Transport-Security header found.",
        "file": "/etc/nginx/sites-enabled/harbour.conf",
        "line": 237,
    }
]
SLOW = """\x1b[0mSat Nov 21 13:31:41 2026:\x1b[1;32m
slow HTTP test status on \x1b[0;32m10\x1b[1;32mth second:

\x1b[1;32minitializing:\x1b[1;32m        0
\x1b[1;32mconnected:   \x1b[1;32m        300
\x1b[1;32mclosed:      \x1b[1;32m        0
\x1b[1;32mservice available:\x1b[1;32m   \x1b[1;32mYES\x1b[0m
Sat Nov 21 13:31:45 2026:\x1b[0;36m
Test ended on 13th second
Exit status:\x1b[1;36m No open connections left
\x1b[0m
"""
GOOD = {"requests": 160, "outcomes": {"200": 160}, "p50_ms": 4.0, "p99_ms": 82.3, "worst_ms": 90.0}
ATTACKER = {"requests": 1000, "seconds": 10.0, "ok": 300, "refused": 700, "other": 0, "broken": 0}


def test_testssl_grade_and_findings_are_read():
    grade, findings = tools.testssl(json.dumps(TESTSSL))
    assert (grade.met, grade.found) == (True, "A+ (96)")
    assert [finding.id for finding in findings.findings] == ["engine_problem", "BREACH"]


def test_testssl_grade_is_capped():
    rows = [row for row in TESTSSL if row["id"] != "overall_grade"]
    rows.append({"id": "overall_grade", "severity": "OK", "finding": "A"})
    rows.append({"id": "grade_cap_reason_1", "severity": "INFO", "finding": "HSTS is not offered"})
    grade, _ = tools.testssl(json.dumps(rows))
    assert (grade.met, grade.found) == (False, "A (96); HSTS is not offered")


def test_finding_on_two_addresses_counts_once():
    other = TESTSSL[2] | {"ip": "harbour.test/192.0.2.2"}
    _, findings = tools.testssl(json.dumps([*TESTSSL, other]))
    assert len(findings.findings) == 2, findings


def test_sslyze_differences_are_findings():
    (check,) = tools.sslyze(SSLYZE + FAILED, "6.0")
    assert [(f.tool, f.id) for f in check.findings] == [
        ("sslyze 6.0", "maximum_certificate_lifespan"),
        ("sslyze 6.0", "tls_curves"),
    ]
    (check,) = tools.sslyze(SSLYZE + "OK - Compliant.\n", "5.7")
    assert not check.findings


def test_observatory_failed_tests_are_findings():
    (check,) = tools.observatory(json.dumps(OBSERVATORY))
    assert check.met and check.found == "A+, 130"
    assert [f.id for f in check.findings] == ["x-frame-options"]
    worse = OBSERVATORY | {"scan": OBSERVATORY["scan"] | {"score": 125}}
    assert not tools.observatory(json.dumps(worse))[0].met


def test_gixy_findings_are_read():
    (check,) = tools.gixy(json.dumps(GIXY))
    assert [(f.id, "harbour.conf:237" in f.found) for f in check.findings] == [("hsts_header", True)]
    assert not tools.gixy("[]")[0].findings


def test_slow_connections_must_not_affect_requests():
    (check,) = tools.slow(SLOW, "headers", GOOD)
    assert check.met and "last of 300 slow connections was closed after 13 s" in check.found, check.found
    (check,) = tools.slow(SLOW, "headers", GOOD | {"outcomes": {"200": 158, "ConnectionResetError": 2}})
    assert not check.met and "2 of 160 requests failed" in check.found, check.found
    (check,) = tools.slow(SLOW, "headers", GOOD | {"p99_ms": 1001.0})
    assert not check.met


def test_flood_is_rejected_and_visitor_is_served():
    visitor, attacker = tools.flood(ATTACKER, GOOD, GOOD)
    assert visitor.met and attacker.met
    assert attacker.found == "700 of 1000 requests rejected with 429, 100 a second"
    visitor, attacker = tools.flood(
        ATTACKER | {"ok": 900, "refused": 100}, GOOD | {"outcomes": {"200": 159}}, GOOD
    )
    assert not visitor.met and not attacker.met


@pytest.mark.parametrize(
    "read",
    [
        lambda: tools.testssl("Fatal error: Can't connect"),
        lambda: tools.testssl("[]"),
        lambda: tools.sslyze("harbour.test:443 could not be reached", "5.7"),
        lambda: tools.sslyze(SSLYZE + "ERROR - Scan did not run successfully; review the scan logs.", "5.7"),
        lambda: tools.sslyze(SSLYZE + "FAILED - Not compliant.\n", "5.7"),
        lambda: tools.observatory('{"error": "The site seems to be down."}'),
        lambda: tools.gixy("Traceback (most recent call last):"),
        lambda: tools.slow("slowhttptest: cannot resolve", "headers", GOOD),
    ],
)
def test_output_of_a_failed_tool_is_an_error(read):
    with pytest.raises(tools.Unreadable, match="expected"):
        read()


# --- Findings and their reasons ----------------------------------------------------------------


def run(reasons: dict[tuple[str, str], str]) -> report.Report:
    return report.Report([*tools.testssl(json.dumps(TESTSSL)), *tools.gixy("[]")], reasons, {"date": "today"})


REASONS = {("testssl", "engine_problem"): "no engine", ("testssl", "BREACH"): "no <secret>"}


def test_report_with_accepted_findings_passes():
    result = run(REASONS)
    assert not result.failed, result.table()
    assert "0 findings, and 2 accepted" in result.table()
    assert result.data()["passed"] and result.data()["checks"][1]["findings"][1]["accepted"] == "no <secret>"


def test_finding_that_is_not_accepted_fails():
    result = run({("testssl", "BREACH"): "no secret", ("gixy", "engine_problem"): "of another tool"})
    assert result.failed
    assert "Not accepted: testssl, engine_problem: WARN: No engine or GOST support" in result.table()
    assert not result.data()["passed"] and "not accepted" in result.page()


def test_accepted_finding_that_is_not_found_is_reported():
    result = run(REASONS | {("gixy", "hsts_header"): "old", ("observatory", "cookies"): "was not run"})
    assert not result.failed
    assert result.stale == [("gixy", "hsts_header")]
    assert "Accepted, and no longer found: gixy, hsts_header" in result.table()


def test_missed_figure_and_empty_report_fail():
    missed = tools.flood(ATTACKER | {"refused": 0}, GOOD, GOOD)
    assert report.Report(missed, {}, {}).failed
    assert report.Report([], {}, {}).failed


def test_report_page_is_escaped_and_self_contained(tmp_path):
    result = run(REASONS)
    result.write(tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "no &lt;secret&gt;" in page and "<secret>" not in page
    assert not re.search(r"<(script|link|img)|https?://", page), (
        "expected a page without references to other files"
    )
    assert json.loads((tmp_path / "report.json").read_text()) == result.data()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gixy: reason", "found dict, expected a list"),
        ("- {tool: gixy, finding: a}", "expected the keys finding, reason and tool"),
        ("- {tool: gixy, finding: a, reason: ''}", "expected text in each key"),
        ("- {tool: gixy, finding: a, reason: 7}", "expected text in each key"),
        ("[{tool: t, finding: a, reason: b}, {tool: t, finding: a, reason: c}]", "found t a again"),
    ],
)
def test_invalid_accepted_findings_are_rejected(tmp_path, text, message):
    path = tmp_path / "accepted.yml"
    path.write_text(text)
    with pytest.raises(report.Refused, match=message):
        report.accepted(path)


def test_accepted_findings_of_the_repository_name_known_tools():
    known = {"testssl", "sslyze 5.7", "sslyze 6.0", "observatory", "gixy"}
    reasons = report.accepted(ROOT / "tools/audit/accepted.yml")
    assert {tool for tool, _ in reasons} <= known, f"expected tools of {known}, got {reasons}"


# --- Packages ----------------------------------------------------------------------------------


def test_node_packages_are_locked_without_a_registry():
    packages = json.loads((ROOT / "tools/audit/auditor/package-lock.json").read_text())["packages"]
    required = json.loads((ROOT / "tools/audit/auditor/package.json").read_text())["dependencies"]
    assert packages.pop("")["dependencies"] == required, (
        "package-lock.json is stale: npm install --package-lock-only"
    )
    for name, package in packages.items():
        assert package.get("integrity", "").startswith("sha512-"), f"{name}: expected a hash, got {package}"
        assert "resolved" not in package, f"{name}: expected no registry, got {package['resolved']}"


def test_python_packages_are_locked():
    lock = (ROOT / "tools/audit/auditor/requirements.txt").read_text()
    locked = set(re.findall(r"^([\w.-]+)==", lock, re.M))
    required = set(
        re.findall(r"^([\w.-]+)", (ROOT / "tools/audit/auditor/requirements.in").read_text(), re.M)
    )
    assert required <= locked, f"expected {required - locked} in requirements.txt: make lock"
    assert lock.count("==") == len(re.findall(r"== ?[^\n]*\\\n    --hash=sha256:", lock)), (
        "expected hashes of all packages"
    )
