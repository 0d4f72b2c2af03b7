"""`--check --diff` on converged hosts. The scenario checks new hosts before it converges them."""

from __future__ import annotations

import re

from tests.hosts.fixtures.lab import run_playbook


def test_check_mode_on_converged_host_shows_no_change(variables, inventory):
    limit = ("--limit", variables["inventory_hostname"])
    run = run_playbook("site.yml", inventory, *limit, "--check", "--diff")
    assert run.returncode == 0, f"expected check mode to succeed, got {run.stdout}"
    counts = re.findall(r"^(\S+) +: ok=\d+ +changed=(\d+)", run.stdout, re.MULTILINE)
    assert counts and all(changed == "0" for _, changed in counts), (
        f"expected changed=0 on each host, got {run.stdout}"
    )
    diff = re.findall(r"^(?:---|\+\+\+|@@|[+-]\w).*", run.stdout, re.MULTILINE)
    assert not diff, f"expected no diff, got {diff}"
