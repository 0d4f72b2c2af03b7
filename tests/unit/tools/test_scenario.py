"""bin/scenario prints the progress and the failures of a run of Molecule."""

from __future__ import annotations

import pytest

from tools import scenario

# Output of Molecule, shortened.
CREATED = """INFO     [default > create] Executing
TASK [lab : hosts | Create the network] ****
INFO     [default > create] Executed: Successful
"""
TESTED = """INFO     [default > verify] Executing
INFO     [default > verify] Executing Testinfra tests found in /checkout/tests/hosts/...
created: 2/2 workers
..F................. [ 50%]
.................... [100%]
=================================== FAILURES ===================================
E   AssertionError: expected 200, got 502
FAILED tests/hosts/test_site.py::test_pages[ansible://trixie]
CRITICAL Verifier tests failed
ERROR    [default > verify] \x1b[31mExecuted: Failed\x1b[0m
"""
CONVERGED = """INFO     [default > converge] Executing
TASK [nginx : main | Configure the sites] ****
fatal: [bookworm]: FAILED! => no
ERROR    [default > converge] \x1b[31mExecuted: Failed\x1b[0m
"""
REMOVED = """INFO     [default > destroy] Executing
INFO     [default > destroy] Executed: Successful

DETAILS
default > create: Executed: Successful
default > verify: Executed: Failed (Verifier tests failed)
"""


def read(*texts: str) -> scenario.Run:
    run = scenario.Run()
    for line in "".join(texts).splitlines():
        run.read(line)
    return run


def printed_lines(capsys: pytest.CaptureFixture) -> list[str]:
    """Return the printed lines, without their seconds."""
    return [" ".join(line.split()[:1] + line.split()[3:]) for line in capsys.readouterr().out.splitlines()]


def test_each_step_prints_a_line(capsys):
    run = read(CREATED, TESTED, REMOVED)
    assert printed_lines(capsys) == ["create", "verify failed", "destroy"]
    assert run.faults()[0] == "verify failed:"


def test_failed_tests_are_reported_with_their_hosts():
    faults = read(CREATED, TESTED, REMOVED).faults()
    assert (
        "FAILURES" in faults[1] and "FAILED tests/hosts/test_site.py::test_pages[ansible://trixie]" in faults
    )
    assert not [line for line in faults if "workers" in line or "%]" in line], faults


def test_end_of_a_failed_step_is_reported():
    faults = read(CREATED, CONVERGED, REMOVED).faults()
    assert faults[0] == "converge failed:" and faults[-1] == "fatal: [bookworm]: FAILED! => no", faults


@pytest.mark.parametrize(
    ("text", "place"), [(TESTED.split("FAIL")[0], "100%"), (CONVERGED, "nginx : main | Configure the sites")]
)
def test_progress_line_names_the_current_task(capsys, text, place):
    run = read(text)
    run.print_step(f"… {run.place}")
    assert printed_lines(capsys)[-1].endswith(f"… {place}")
