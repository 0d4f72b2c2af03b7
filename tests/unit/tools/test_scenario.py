"""What bin/scenario says of a run of Molecule: what it is at, and of a failure what went wrong."""

from __future__ import annotations

import pytest

from tools import scenario

# As Molecule says it, shortened.
CREATED = """INFO     [default > create] Executing
TASK [lab : hosts | Make the network] ****
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
TASK [nginx : main | Write the sites] ****
fatal: [bookworm]: FAILED! => no
ERROR    [default > converge] \x1b[31mExecuted: Failed\x1b[0m
"""
REMOVED = """INFO     [default > destroy] Executing
INFO     [default > destroy] Executed: Successful

DETAILS
default > create: Executed: Successful
default > verify: Executed: Failed (Verifier tests failed)
"""


def heard(*texts: str) -> object:
    run = scenario.Run()
    for line in "".join(texts).splitlines():
        run.read(line)
    return run


def told(capsys: pytest.CaptureFixture) -> list[str]:
    """The lines that are shown, without their seconds."""
    return [" ".join(line.split()[:1] + line.split()[3:]) for line in capsys.readouterr().out.splitlines()]


def test_each_step_is_a_line(capsys):
    run = heard(CREATED, TESTED, REMOVED)
    assert told(capsys) == ["create", "verify failed", "destroy"]
    assert run.faults()[0] == "verify failed:"


def test_of_tests_that_failed_it_is_said_which_and_where():
    faults = heard(CREATED, TESTED, REMOVED).faults()
    assert (
        "FAILURES" in faults[1] and "FAILED tests/hosts/test_site.py::test_pages[ansible://trixie]" in faults
    )
    assert not [line for line in faults if "workers" in line or "%]" in line], faults


def test_of_a_run_that_failed_its_end_is_said():
    faults = heard(CREATED, CONVERGED, REMOVED).faults()
    assert faults[0] == "converge failed:" and faults[-1] == "fatal: [bookworm]: FAILED! => no", faults


@pytest.mark.parametrize(
    ("text", "place"), [(TESTED.split("FAIL")[0], "100%"), (CONVERGED, "nginx : main | Write the sites")]
)
def test_where_it_is_when_it_takes_long(capsys, text, place):
    run = heard(text)
    run.print_step(f"… {run.place}")
    assert told(capsys)[-1].endswith(f"… {place}")
