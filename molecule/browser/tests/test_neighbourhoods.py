"""Three charts of the census, each with a table and a CSV file."""

from __future__ import annotations

import csv

import pytest
from browsing import assert_fits, focused_element
from playwright.sync_api import expect

CHARTS = {
    "map": "/neighbourhoods/",
    "series": "/neighbourhoods/over-time",
    "scatter": "/neighbourhoods/compare",
}


@pytest.mark.parametrize("chart", CHARTS)
def test_chart_table_and_csv_have_equal_figures(visitor, chart):
    """Select another figure by keyboard, and compare the table with the CSV file."""
    page = visitor.page()
    page.goto(CHARTS[chart])
    drawing = page.locator(f"svg.{chart}")
    title = drawing.locator("> title").text_content()
    assert drawing.locator("> desc").text_content(), "expected a description of the chart"
    select = page.locator("form.search select").first
    select.focus()
    page.keyboard.press("ArrowDown")
    page.get_by_role("button", name="Show").focus()
    page.keyboard.press("Enter")
    expect(drawing.locator("> title")).not_to_have_text(title)
    assert_fits(page)

    rows = page.locator("table.figures tbody tr")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as CSV").click()
    with open(download.value.path(), newline="") as file:
        lines = list(csv.DictReader(file))
    assert lines and rows.count() > 1, f"expected figures, got {len(lines)} lines and {rows.count()} rows"
    first = rows.first.inner_text().split("\n")[0].split("\t")[0]
    assert any(first in line.values() for line in lines), f"expected {first!r} of the table in {lines[:3]}"


def test_map_is_usable_by_keyboard(visitor):
    """Skip the map, or move through its states with Tab. Enter opens the figures of a state."""
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
        found = focused_element(page)
        assert found["ring"], f"expected a visible focus on the map, got none at {found['name']!r}"
        names.append(page.evaluate("document.activeElement.getAttribute('aria-label')"))
    assert len(set(names)) == 3 and all(": " in name for name in names), (
        f"expected states with their figures, got {names}"
    )
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Over time")
    expect(page.locator(".legend")).to_contain_text(names[-1].split(":")[0])


def test_wide_chart_scrolls_in_its_frame(visitor):
    """Arrow keys scroll a chart that is wider than the window of a phone."""
    page = visitor.page()
    page.goto(CHARTS["series"])
    frame = page.get_by_role("region", name="Chart")
    frame.focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    page.wait_for_timeout(500)  # browsers scroll smoothly
    offset, maximum = frame.evaluate("(frame) => [frame.scrollLeft, frame.scrollWidth - frame.clientWidth]")
    assert offset > 0 or maximum == 0, f"expected the chart to scroll, got {offset} of {maximum} pixels"
    assert_fits(page)
