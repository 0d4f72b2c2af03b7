"""Lines of host programs for the journal."""

from __future__ import annotations

import pytest
from ansible_collections.decanter.stack.plugins.module_utils.shared import journal


@pytest.mark.parametrize(
    ("stream", "fault", "expected"),
    [("8:1", True, "<3>text\n"), ("8:1", False, "text\n"), ("", True, "text\n")],
)
def test_log_marks_a_fault_only_in_the_journal(monkeypatch, capsys, stream, fault, expected):
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    if stream:
        monkeypatch.setenv("JOURNAL_STREAM", stream)
    journal.log("text", fault=fault)
    assert capsys.readouterr().out == expected


def test_iso_is_utc():
    assert journal.iso(0) == "1970-01-01 00:00 UTC"
