"""What `--check --diff` says of finished hosts; new ones are asked before they are converged."""

from __future__ import annotations

import re

from tests.hosts.fixtures.lab import run_playbook


def test_a_check_of_a_finished_host_finds_nothing(variables, inventory):
    limit = ("--limit", variables["inventory_hostname"])
    done = run_playbook("site.yml", inventory, *limit, "--check", "--diff")
    assert done.returncode == 0, f"expected a check to end well, got {done.stdout}"
    counts = re.findall(r"^(\S+) +: ok=\d+ +changed=(\d+)", done.stdout, re.MULTILINE)
    assert counts and all(changed == "0" for _, changed in counts), (
        f"expected changed=0 on each host, got {done.stdout}"
    )
    diff = re.findall(r"^(?:---|\+\+\+|@@|[+-]\w).*", done.stdout, re.MULTILINE)
    assert not diff, f"expected no diff, got {diff}"
