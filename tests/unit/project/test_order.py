"""What would come in another order each time, and change a file that nobody has changed."""

from __future__ import annotations

import re

from repository import ROOT

# Of words, these make a set, whose order is another in each process; `reject('in', …)` keeps a list's.
SETS = re.compile(r"\|\s*(difference|intersect|symmetric_difference|union)\b")


def test_no_list_loses_its_order():
    files = [
        path
        for folder in ("roles", "playbooks", "inventories", "molecule", "tests/lab")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".yml", ".j2") and path.is_file()
    ]
    assert len(files) > 100
    found = {f"{path.relative_to(ROOT)}: {name}" for path in files for name in SETS.findall(path.read_text())}
    assert not found, f"expected none of Ansible's filters of sets, got {sorted(found)}"
