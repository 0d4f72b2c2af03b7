"""Values that YAML reads as another type: the error names the trap."""

from __future__ import annotations

import pytest
from ansible.module_utils.common.yaml import yaml_load
from ansible_collections.decanter.stack.plugins.filter import sites_check
from sites_examples import minimal

BOOLEANS = "YAML reads yes, no, on and off without quotes as booleans"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "timers: {a: {command: x, calendar: 16:30}}",
            "timers.a.calendar: found 990, expected a time in the syntax of systemd, such as daily or "
            '"Mon 06:30"; YAML reads 16:30 without quotes as the number 990',
        ),
        (
            "python: 3.10",
            'python: found 3.1, expected a version in quotes, such as "3.12", or the path of an interpreter '
            "outside /home, /root and /srv; YAML reads 3.10 and 3.1 without quotes as the same number",
        ),
        ("env: {DEBUG: no}", f"env.DEBUG: found false, expected a string (put it in quotes); {BOOLEANS}"),
        (
            "tls: {mode: off}",
            f"tls.mode: found false, expected one of: self-signed, ca, acme, provided; {BOOLEANS}",
        ),
        (
            "env: {SINCE: 2026-01-31}",
            "env.SINCE: found a date, expected a string (put it in quotes); "
            "YAML reads a date without quotes as a date, not as a string",
        ),
        (
            "migrate: >\n  flask\n  db upgrade\n",
            'migrate: found "flask db upgrade\\n", expected a command on one line, such as flask db upgrade; '
            "the block scalars > and | leave a newline at the end, >- and |- do not",
        ),
    ],
)
def test_error_of_a_yaml_trap_names_the_trap(text: str, line: str, root: str) -> None:
    sites = minimal()
    sites["harbour"] |= yaml_load(text)
    assert sites_check.site_errors(sites, root) == [f"sites.harbour.{line}"]


def test_folded_scalar_without_newline_is_accepted(root: str) -> None:
    sites = minimal()
    sites["harbour"] |= yaml_load("migrate: >-\n  flask\n  db upgrade\n")
    assert sites["harbour"]["migrate"] == "flask db upgrade"
    assert sites_check.site_errors(sites, root) == []
