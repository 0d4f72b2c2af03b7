"""Formatting and parsing of numbers, money, dates and text."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harbour import formats


def test_formats_return_text_for_pages() -> None:
    assert formats.money(425_000) == "$425,000"
    assert formats.money(0) == "$0"
    assert formats.thousands(1_234_567) == "1,234,567"
    assert formats.long_date(datetime.fromisoformat("2025-05-04")) == "4 May 2025"
    assert formats.plural(0, "home") == "no homes"
    assert formats.plural(1, "home") == "1 home"
    assert formats.plural(1_200, "home") == "1,200 homes"
    assert formats.plural(2, "berth for a dinghy", "berths for dinghies") == "2 berths for dinghies"


@given(st.integers(0, 10**12))
def test_parse_whole_number_reverses_money(amount: int) -> None:
    assert formats.parse_whole_number(formats.money(amount)) == amount


@pytest.mark.parametrize("text", ["", " ", "-1", "1-2", "three", "1e3", "٣", "²", "1.2.3", "0x10"])
def test_parse_whole_number_rejects_other_text(text: str) -> None:
    assert formats.parse_whole_number(text) is None


def test_clean_text_removes_control_characters() -> None:
    assert formats.clean_line("\x1b[31m a\u00a0\n b\x00\ud800 ") == "[31m a b"
    assert formats.clean_text(" one\r\ntwo \rthree\x07\n\n ") == "one\ntwo\nthree"
