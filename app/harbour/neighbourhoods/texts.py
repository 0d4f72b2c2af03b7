"""Formatting of figures, and texts about them."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Mapping, Sequence

from .analysis import Estimate, Fit, Span, class_of
from .charts import Line
from .measures import UNPUBLISHED, Measure, Ratio, areas


def format_value(value: float, measure: Measure | Ratio, *, sign: bool = False) -> str:
    """Format a figure for a page: "$1,200", "12.3%", "3.9 years"; optionally with a plus sign."""
    text = f"{abs(value):,.{measure.digits}f}"
    # Zero after rounding has no sign.
    signed = "\N{MINUS SIGN}" if value < 0 else "+" if sign else ""
    before = signed if re.search("[1-9]", text) else ""
    if measure.unit == "$":
        return f"{before}${text}"
    return f"{before}{text}{measure.unit}" if measure.unit == "%" else f"{before}{text} {measure.unit}"


def format_equation(line: Fit) -> str:
    """Format a line's equation with four significant digits: "y = 212,100 + 7.416 x"."""

    def digits(number: float) -> str:
        short = float(f"{abs(number):.4g}")
        return f"{short:,.0f}" if short >= 1000 else f"{short:.4g}"

    before = "\N{MINUS SIGN}" if line.intercept < 0 else ""
    sign = "\N{MINUS SIGN}" if line.slope < 0 else "+"
    return f"y = {before}{digits(line.intercept)} {sign} {digits(line.slope)} x"


def format_tick(value: float, measure: Measure | Ratio) -> str:
    """Format a figure for an axis: "$250k", "4.5"."""
    if abs(value) >= 1_000_000:
        short = f"{value / 1_000_000:g}M"
    elif abs(value) >= 10_000:
        short = f"{value / 1000:g}k"
    else:
        short = f"{value:,.10g}"
    return f"${short}" if measure.unit == "$" else f"{short}%" if measure.unit == "%" else short


def format_estimate(value: Estimate, measure: Measure | Ratio) -> str:
    """Format a figure with its margin of error, if available."""
    text = format_value(value.value, measure)
    return text if value.moe is None else f"{text} ± {format_value(value.moe, measure)}"


def summary(ranked: Sequence[str], values: Mapping[str, Estimate], measure: Measure | Ratio) -> str:
    """Return the highest and the lowest area and the median of a year."""
    if not ranked:
        return "There are no figures for this year."
    middle = statistics.median(value.value for value in values.values())
    high, low = ranked[0], ranked[-1]
    return (
        f"Highest in {areas()[high].name}, {format_value(values[high].value, measure)}; lowest in"
        f" {areas()[low].name}, {format_value(values[low].value, measure)}. Half of the"
        f" {len(ranked)} areas are at or above {format_value(middle, measure)}."
    )


def changes(spans: Iterable[tuple[Line, Span]], measure: Measure | Ratio, gap: bool) -> str:
    """Return the first and the last figure of each line, and the gap."""
    sentences = [
        f"{line.name}: {format_value(line.values[span.first].value, measure)} in {span.first},"
        f" {format_value(line.values[span.last].value, measure)} in {span.last}."
        for line, span in spans
    ]
    if gap:
        sentences.append(f"The lines are broken at {UNPUBLISHED}, which was not published.")
    return " ".join(sentences) or "One year of figures."


def legend(
    bounds: Sequence[float], values: Mapping[str, Estimate], measure: Measure | Ratio
) -> list[tuple[int, str]]:
    """Return each class with its range of figures, highest first."""
    members: dict[int, list[float]] = {}
    for value in values.values():
        members.setdefault(class_of(value.value, bounds), []).append(value.value)
    return [
        (number, _range(min(inside), max(inside), measure))
        for number, inside in sorted(members.items(), reverse=True)
    ]


def _range(low: float, high: float, measure: Measure | Ratio) -> str:
    first, last = format_value(low, measure), format_value(high, measure)
    return first if first == last else f"{first} to {last}"
