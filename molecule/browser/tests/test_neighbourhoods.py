"""Figures of the census: three charts, each with its table and its CSV, with and without a mouse."""

from __future__ import annotations

import csv

import pytest
from browsing import assert_fits, focused
from playwright.sync_api import expect

CHARTS = {
    "map": "/neighbourhoods/",
    "series": "/neighbourhoods/over-time",
    "scatter": "/neighbourhoods/compare",
}


@pytest.mark.parametrize("chart", CHARTS)
def test_chart(visitor, chart):
    """Another figure is chosen by keyboard; chart, table and CSV have the same figures."""
    page = visitor.page()
    page.goto(CHARTS[chart])
    drawing = page.locator(f"svg.{chart}")
    title = drawing.locator("> title").text_content()
    assert drawing.locator("> desc").text_content(), "expected a sentence on what is to be seen"
    select = page.locator("form.search select").first
    select.focus()
    page.keyboard.press("ArrowDown")
    page.get_by_role("button", name="Show").focus()
    page.keyboard.press("Enter")
    expect(drawing.locator("> title")).not_to_have_text(title)
    assert_fits(page)

    rows = page.locator("table.figures tbody tr")
    with page.expect_download() as coming:
        page.get_by_role("link", name="Download as CSV").click()
    with open(coming.value.path(), newline="") as file:
        lines = list(csv.DictReader(file))
    assert lines and rows.count() > 1, f"expected figures, got {len(lines)} lines and {rows.count()} rows"
    first = rows.first.inner_text().split("\n")[0].split("\t")[0]
    assert any(first in line.values() for line in lines), f"expected {first!r} of the table in {lines[:3]}"


def test_the_map_by_keyboard(visitor):
    """Tab leads past the map, or into it, state by state; Enter follows one to its figures over time."""
    page = visitor.page()
    page.goto(CHARTS["map"])
    skip = page.get_by_role("link", name="Skip the map")
    skip.focus()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#table")).to_be_in_viewport()
    skip.focus()
    names = []
    for _ in range(3):
        page.keyboard.press("Tab")
        found = focused(page)
        assert found["ring"], f"expected to see the focus on the map, got none at {found['what']!r}"
        names.append(page.evaluate("document.activeElement.getAttribute('aria-label')"))
    assert len(set(names)) == 3 and all(": " in name for name in names), (
        f"expected states with their figures, got {names}"
    )
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Over time")
    expect(page.locator(".legend")).to_contain_text(names[-1].split(":")[0])


def test_a_wide_chart_scrolls_in_its_frame(visitor):
    """On a telephone the chart is as large as it must be to be read, and the arrow keys move it."""
    page = visitor.page()
    page.goto(CHARTS["series"])
    frame = page.get_by_role("region", name="Chart")
    frame.focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    page.wait_for_timeout(500)  # browsers glide
    moved, room = frame.evaluate("(one) => [one.scrollLeft, one.scrollWidth - one.clientWidth]")
    assert moved > 0 or room == 0, f"expected the chart to move within its frame, got {moved} of {room}"
    assert_fits(page)
