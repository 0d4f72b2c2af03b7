"""Cleaning and analysis of figures: pure functions.

Margins of error are the Census Bureau's, at 90 percent confidence. The formulas for derived figures
are in "Understanding and Using American Community Survey Data: What All Data Users Need to Know"
(2020), chapter 8. They assume independent estimates.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

# The Census Bureau's codes for missing numbers are nine equal digits below zero: too few responses
# (-666666666), not applicable (-888888888), median in an open-ended interval, and so on. Older tables
# and data derived from them contain some codes without the sign.
_JAM = re.compile(r"-?([1-9])\1{8}")
# Number of standard errors on each side of a 90 percent interval.
Z90 = 1.645
MIN_PAIRS = 4  # Fisher's interval divides by sqrt(n - 3)


def is_jam(value: float) -> bool:
    """Return whether a value is a code for a missing number."""
    return value.is_integer() and bool(_JAM.fullmatch(f"{value:.0f}"))


def clean(value: object) -> float | None:
    """Return a number from the Census Bureau or from a file, or None if it is missing.

    Empty, null and jam values count as missing.

    Raises:
        ValueError: the value is not a number and not missing.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError(f"found {value!r:.60}, expected a number")  # noqa: TRY004 (one error for all)
    if isinstance(value, str):
        value = value.strip()
        if not value:
            return None
        # Rejects "1_000", "nan" and "٣", which float() accepts.
        if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", value, re.ASCII):
            raise ValueError(f"found {value!r:.60}, expected a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"found {value!r:.60}, expected a number")
    return None if is_jam(number) else number


def clean_estimate(value: object) -> float | None:
    """Return an estimate. All measures are zero or more.

    Raises:
        ValueError: the value is not a number, or negative.
    """
    number = clean(value)
    if number is not None and number < 0:
        raise ValueError(f"found {value!r:.60}, expected zero or more")
    return number


@dataclass(frozen=True)
class Estimate:
    """A number with its margin of error, if available.

    Attributes:
        value: the estimate.
        moe: margin of error: nine of ten such intervals contain the true value; None if not
            available.
    """

    value: float
    moe: float | None = None


def ratio(numerator: Estimate, denominator: Estimate, factor: float = 1) -> Estimate | None:
    """Return one estimate divided by another, or None for a division by zero.

    The margin is correct if the numerator is not part of the denominator:
    ``sqrt(moe_numerator² + ratio² moe_denominator²) / denominator``.
    """
    try:
        value = numerator.value / denominator.value
        moe = None
        if numerator.moe is not None and denominator.moe is not None:
            moe = math.hypot(numerator.moe, value * denominator.moe) / denominator.value * factor
    except (ZeroDivisionError, OverflowError):
        return None
    return Estimate(value * factor, moe)


@dataclass(frozen=True)
class Change:
    """The change of a figure between two years.

    Attributes:
        absolute: difference with its margin of error.
        percent: relative to the earlier figure, or None if that is zero.
        certain: whether the difference is larger than its margin of error; None without a margin.
    """

    absolute: Estimate
    percent: float | None
    certain: bool | None


def change(before: Estimate, after: Estimate) -> Change:
    """Return the change over time. Its margin is ``sqrt(moe_before² + moe_after²)``."""
    difference = after.value - before.value
    moe = certain = None
    if before.moe is not None and after.moe is not None:
        moe = math.hypot(before.moe, after.moe)
        certain = abs(difference) > moe
    percent = 100 * difference / before.value if before.value else None
    return Change(Estimate(difference, moe), percent, certain)


@dataclass(frozen=True)
class Span:
    """The change between the first and the last year of a line."""

    first: int
    last: int
    change: Change


def span(values: Mapping[int, Estimate]) -> Span:
    """Return the change from the first year to the last."""
    first, last = min(values), max(values)
    return Span(first, last, change(values[first], values[last]))


@dataclass(frozen=True)
class Fit:
    """Least-squares line and correlation of two measures over areas.

    Attributes:
        n: number of areas with both measures.
        slope: slope of the least-squares line, in units of y per unit of x.
        centre: means of x and y; the line goes through this point.
        r: Pearson's correlation, from -1 to 1.
        low: lower end of the correlation's 90 percent interval, by Fisher's transformation.
        high: upper end of the interval.
    """

    n: int
    slope: float
    centre: tuple[float, float]
    r: float
    low: float
    high: float

    @property
    def r_squared(self) -> float:
        """The share of y's variance explained by the line."""
        return self.r**2

    @property
    def intercept(self) -> float:
        """The y value of the line at x = 0."""
        return self.at(0)

    def at(self, x: float) -> float:
        """Return the y value of the line at x.

        Starts from the centre, because that is numerically exact for steep lines.
        """
        return self.centre[1] + self.slope * (x - self.centre[0])

    def x_at(self, y: float) -> float:
        """Return the x value of the line at y. The slope must not be zero."""
        return self.centre[0] + (y - self.centre[1]) / self.slope


def fit(pairs: Iterable[tuple[float, float]]) -> Fit | None:
    """Return line and correlation, or None for fewer than four pairs or if x or y is constant.

    Each area counts once, whatever its size. Margins of error are ignored.
    """
    points = list(pairs)
    if len(points) < MIN_PAIRS:
        return None
    xs, ys = [x for x, _ in points], [y for _, y in points]
    try:
        r = max(-1.0, min(1.0, statistics.correlation(xs, ys)))
        slope = statistics.linear_regression(xs, ys).slope
    except (statistics.StatisticsError, OverflowError, ZeroDivisionError):
        return None
    low, high = fisher_interval(r, len(points))
    centre = statistics.fmean(xs), statistics.fmean(ys)
    return Fit(len(points), slope, centre, r, low, high)


def fisher_interval(r: float, n: int, z: float = Z90) -> tuple[float, float]:
    """Return the interval of a correlation: ``tanh(artanh r ± z / sqrt(n - 3))``.

    Args:
        r: the correlation, from -1 to 1.
        n: the number of pairs, at least four.
        z: number of standard errors on each side.
    """
    if abs(r) == 1:
        return r, r
    centre, half = math.atanh(r), z / math.sqrt(n - 3)
    return math.tanh(centre - half), math.tanh(centre + half)


def quantile_bounds(values: Sequence[float], classes: int) -> list[float]:
    """Return the upper bounds of classes of about equal size, except the last: ascending, unique."""
    if len(values) < 2:
        return []
    return sorted(set(statistics.quantiles(values, n=classes, method="inclusive")))


def class_of(value: float, bounds: Sequence[float]) -> int:
    """Return the number of a value's class, from 0. Bounds belong to the lower class."""
    return sum(value > bound for bound in bounds)


def runs(years: Iterable[int]) -> list[list[int]]:
    """Return the years in groups of consecutive years. Charts draw lines within a group only.

    Missing years are not interpolated.
    """
    groups: list[list[int]] = []
    for year in sorted(set(years)):
        if groups and groups[-1][-1] == year - 1:
            groups[-1].append(year)
        else:
            groups.append([year])
    return groups


def ticks(low: float, high: float, max_count: int = 6) -> list[float]:
    """Return round numbers that cover the range from low to high."""
    if high - low <= 1e-6 * max(1, abs(low)):
        spread = max(0.1, abs(low) * 0.1)
        low, high = low - spread, high + spread
    raw = (high - low) / max(1, max_count - 1)
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = next(s * magnitude for s in (1, 2, 2.5, 5, 10) if s * magnitude >= raw * (1 - 1e-9))
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(number * step, 10) for number in range(first, last + 1)]
