"""Cleaning and analysis: pure functions of numbers.

Margins of error are the Census Bureau's, of 90 percent confidence. Its formulas for figures that
are derived from others are in "Understanding and Using American Community Survey Data: What All
Data Users Need to Know" (2020), chapter 8; they take the two estimates as independent.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

# The Census Bureau writes nine times the same digit, below zero, where there is no number: too few
# answers (-666666666), does not apply (-888888888), a median at the end of its scale and so on.
# Older tables, and what was made from them, have some without the sign.
_JAM = re.compile(r"-?([1-9])\1{8}")
# A 90 percent interval is this many standard errors on either side.
Z90 = 1.645
FEWEST = 4  # pairs: Fisher's interval divides by the square root of three fewer


def is_jam(value: float) -> bool:
    """Whether a value stands for "there is no number"."""
    return value.is_integer() and bool(_JAM.fullmatch(f"{value:.0f}"))


def clean(value: object) -> float | None:
    """Return what the Census Bureau, or a file, has for a number; None where there is none.

    Empty, null and jam values are none.

    Raises:
        ValueError: it is neither a number nor one of those.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError(f"expected a number, got {value!r:.60}")  # noqa: TRY004 (one error for all)
    if isinstance(value, str):
        value = value.strip()
        if not value:
            return None
        # No "1_000", "nan" or "٣", all of which float() takes.
        if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", value, re.ASCII):
            raise ValueError(f"expected a number, got {value!r:.60}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"expected a number, got {value!r:.60}")
    return None if is_jam(number) else number


def clean_estimate(value: object) -> float | None:
    """Return an estimate, which is never below zero: nothing here can be.

    Raises:
        ValueError: it is not a number, or below zero.
    """
    number = clean(value)
    if number is not None and number < 0:
        raise ValueError(f"expected no number below zero, got {value!r:.60}")
    return number


@dataclass(frozen=True)
class Estimate:
    """A number, and its margin of error where that is known.

    Attributes:
        value: the estimate.
        moe: the true value is within this much of it in nine of ten such estimates; None where
            it is not known.
    """

    value: float
    moe: float | None = None


def ratio(above: Estimate, below: Estimate, factor: float = 1) -> Estimate | None:
    """Return one estimate divided by another, or None for a division by zero.

    The margin is for a ratio whose numerator is no part of its denominator:
    ``sqrt(moe_above² + ratio² moe_below²) / below``.
    """
    try:
        value = above.value / below.value
        moe = None
        if above.moe is not None and below.moe is not None:
            moe = math.hypot(above.moe, value * below.moe) / below.value * factor
    except (ZeroDivisionError, OverflowError):
        return None
    return Estimate(value * factor, moe)


@dataclass(frozen=True)
class Change:
    """How far a figure moved.

    Attributes:
        absolute: the difference, with its margin of error.
        percent: of the earlier figure, or None when that is zero.
        certain: whether the difference is larger than its margin of error; None where that is
            not known.
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
    """The first and the last year of a line, and what changed between them."""

    first: int
    last: int
    change: Change


def span(values: Mapping[int, Estimate]) -> Span:
    """Return how far figures moved from the first year to the last."""
    first, last = min(values), max(values)
    return Span(first, last, change(values[first], values[last]))


@dataclass(frozen=True)
class Fit:
    """How two measures go together over several areas.

    Attributes:
        n: the number of areas that have both.
        slope: of the least-squares line, in units of y for one of x.
        centre: both means, through which it leads.
        r: Pearson's correlation, from -1 to 1.
        low: where the 90 percent interval of the correlation begins, by Fisher's transformation.
        high: where it ends.
    """

    n: int
    slope: float
    centre: tuple[float, float]
    r: float
    low: float
    high: float

    @property
    def r_squared(self) -> float:
        """The share of y's variance that the line accounts for."""
        return self.r**2

    @property
    def intercept(self) -> float:
        """The line's height at x = 0."""
        return self.at(0)

    def at(self, x: float) -> float:
        """Return the line's height.

        From the centre, through which it leads exactly, however steep it is.
        """
        return self.centre[1] + self.slope * (x - self.centre[0])

    def where(self, height: float) -> float:
        """Return the x at which the line, which must not be level, has a height."""
        return self.centre[0] + (height - self.centre[1]) / self.slope


def fit(pairs: Iterable[tuple[float, float]]) -> Fit | None:
    """Return line and correlation, or None for fewer than four pairs or when x or y is constant.

    The correlation is of areas, each counted once whatever its size; it takes the estimates as
    they are, without their margins of error.
    """
    points = list(pairs)
    if len(points) < FEWEST:
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
        n: the number of pairs, four at least.
        z: standard errors on either side.
    """
    if abs(r) == 1:
        return r, r
    centre, half = math.atanh(r), z / math.sqrt(n - 3)
    return math.tanh(centre - half), math.tanh(centre + half)


def quantile_bounds(values: Sequence[float], classes: int) -> list[float]:
    """Return where classes of about equal numbers end, the last excepted; rising, none twice."""
    if len(values) < 2:
        return []
    return sorted(set(statistics.quantiles(values, n=classes, method="inclusive")))


def class_of(value: float, bounds: Sequence[float]) -> int:
    """Return the number of the class that a value is in, from 0; a bound is in the lower one."""
    return sum(value > bound for bound in bounds)


def runs(years: Iterable[int]) -> list[list[int]]:
    """Return years in unbroken rows: a line may be drawn within one, and never from one to another.

    Nothing is known of a year that is not there, and nothing is put in its place.
    """
    found: list[list[int]] = []
    for year in sorted(set(years)):
        if found and found[-1][-1] == year - 1:
            found[-1].append(year)
        else:
            found.append([year])
    return found


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Return round numbers from at or below the lowest to at or above the highest."""
    if high - low <= 1e-6 * max(1, abs(low)):
        spread = max(0.1, abs(low) * 0.1)
        low, high = low - spread, high + spread
    raw = (high - low) / max(1, most - 1)
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = next(s * magnitude for s in (1, 2, 2.5, 5, 10) if s * magnitude >= raw * (1 - 1e-9))
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(number * step, 10) for number in range(first, last + 1)]
