"""Templates and tasks must not depend on the order of a set, which differs between runs."""

from __future__ import annotations

import re

from repository import ROOT

# These filters return a set of strings in an order that differs between processes.
# `reject('in', …)` keeps the order of a list.
SETS = re.compile(r"\|\s*(difference|intersect|symmetric_difference|union)\b")


def test_no_filter_of_sets_is_used():
    files = [
        path
        for folder in ("roles", "playbooks", "inventories", "molecule", "tests/lab")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".yml", ".j2") and path.is_file()
    ]
    assert len(files) > 100
    found = {f"{path.relative_to(ROOT)}: {name}" for path in files for name in SETS.findall(path.read_text())}
    assert not found, f"expected no set filters of Ansible, got {sorted(found)}"
