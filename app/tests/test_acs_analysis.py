"""Cleaning and analysis of census figures."""

from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harbour.neighbourhoods.analysis import (
    Estimate,
    change,
    class_of,
    clean,
    clean_estimate,
    fisher_interval,
    fit,
    is_jam,
    quantile_bounds,
    ratio,
    runs,
    ticks,
)

sizes = st.floats(0.01, 1e7)


# --- Cleaning ----------------------------------------------------------------------------------


@pytest.mark.parametrize("digit", "123456789")
@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize("tail", ["", ".0"])
def test_clean_jam_value_is_missing(digit: str, sign: str, tail: str) -> None:
    assert clean(f"{sign}{digit * 9}{tail}") is None
    assert clean(float(f"{sign}{digit * 9}")) is None


@pytest.mark.parametrize("value", ["", "  ", None])
def test_clean_empty_value_is_missing(value: str | None) -> None:
    assert clean(value) is None


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("0", 0),
        ("97500.0", 97500),
        (" 12.5 ", 12.5),
        ("-3", -3),
        ("1e3", 1000),
        (7, 7),
        (".5", 0.5),
        ("66666666", 66666666),
        ("666666667", 666666667),
        ("6666666666", 6666666666),
    ],
)
def test_clean_number_is_returned(value: object, number: float) -> None:
    assert clean(value) == number


@pytest.mark.parametrize(
    "value",
    [
        "(X)",
        "N",
        "nan",
        "inf",
        "1_000",
        "٣",
        "1,000",
        "$5",
        "-",
        "1e999",
        True,
        [],
        {},
        float("nan"),
        float("inf"),
        10**400,
    ],
)
def test_clean_non_number_is_rejected(value: object) -> None:
    with pytest.raises(ValueError, match="expected a number"):
        clean(value)


def test_clean_estimate_negative_is_rejected() -> None:
    with pytest.raises(ValueError, match="expected zero or more"):
        clean_estimate("-1")
    assert clean_estimate("-666666666") is None


@given(st.text())
def test_clean_any_text_returns_number_or_raises(text: str) -> None:
    try:
        number = clean(text)
    except ValueError:
        return
    assert number is None or math.isfinite(number)


@given(st.floats(0, 1e8))
def test_clean_repr_of_number_returns_number(number: float) -> None:
    assert clean(repr(number)) == (None if is_jam(number) else number)


# --- Ratios and changes ------------------------------------------------------------------------


def test_ratio_returns_value_and_margin() -> None:
    # 200,000 ± 4,000 divided by 50,000 ± 500, calculated with the handbook's formula.
    got = ratio(Estimate(200_000, 4_000), Estimate(50_000, 500))
    assert got.value == 4
    assert got.moe == pytest.approx(math.sqrt(4_000**2 + 16 * 500**2) / 50_000)
    share = ratio(Estimate(1_000, 10), Estimate(60_000, 600), 1200)
    assert share.value == pytest.approx(20)
    assert share.moe == pytest.approx(20 * math.hypot(0.01, 0.01)), (
        "expected the relative margins to be added in quadrature"
    )


def test_ratio_with_zero_denominator_is_none() -> None:
    assert ratio(Estimate(1, 1), Estimate(0, 1)) is None


def test_result_of_missing_margin_has_no_margin() -> None:
    assert ratio(Estimate(1), Estimate(2, 1)).moe is None
    assert ratio(Estimate(1, 1), Estimate(2)).moe is None
    assert change(Estimate(1), Estimate(2, 1)).certain is None


@given(sizes, sizes, st.floats(0, 1e4), st.floats(0, 1e4))
def test_ratio_margin_grows_with_margins_of_parts(
    above: float, below: float, first: float, second: float
) -> None:
    small = ratio(Estimate(above, first), Estimate(below, second))
    large = ratio(Estimate(above, first * 2), Estimate(below, second * 2))
    assert 0 <= small.moe <= large.moe
    assert large.moe == pytest.approx(small.moe * 2)


def test_change_returns_difference_margin_and_percent() -> None:
    got = change(Estimate(100, 3), Estimate(110, 4))
    assert (got.absolute.value, got.absolute.moe, got.percent) == (10, 5, 10)
    assert got.certain
    assert not change(Estimate(100, 3), Estimate(105, 4)).certain, "expected 5 to be within ± 5"
    assert change(Estimate(0), Estimate(5)).percent is None


@given(sizes, sizes)
def test_change_in_reverse_has_opposite_sign(before: float, after: float) -> None:
    forward, back = (
        change(Estimate(before), Estimate(after)),
        change(Estimate(after), Estimate(before)),
    )
    assert forward.absolute.value == -back.absolute.value


# --- Correlation -------------------------------------------------------------------------------


def test_fit_of_anscombe_quartet_matches_textbook() -> None:
    # The first data set of Anscombe's quartet.
    xs = [10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5]
    ys = [8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68]
    got = fit(zip(xs, ys, strict=True))
    assert got.n == 11
    assert got.slope == pytest.approx(0.500, abs=0.001)
    assert got.intercept == pytest.approx(3.000, abs=0.001)
    assert got.r == pytest.approx(0.816, abs=0.001)
    assert got.r_squared == pytest.approx(0.667, abs=0.001)
    assert got.at(10) == pytest.approx(8.0, abs=0.01)
    assert (got.low, got.high) == pytest.approx((0.512, 0.939), abs=0.001)


def test_fisher_interval_matches_formula() -> None:
    # atanh 0.5 = 0.5493; 1.645 / sqrt(25) = 0.329.
    low, high = fisher_interval(0.5, 28)
    assert (low, high) == pytest.approx((math.tanh(0.2203), math.tanh(0.8783)), abs=1e-4)
    assert fisher_interval(1, 10) == (1, 1)


def test_fit_of_few_or_constant_pairs_is_none() -> None:
    assert fit([(1, 2), (2, 3), (3, 5)]) is None
    assert fit([(1, n) for n in range(9)]) is None
    assert fit([(n, 1) for n in range(9)]) is None
    assert fit([]) is None


@example([(1e7, 1), (1e7, 1), (1e7, 1), (math.nextafter(1e7, 2e7), 2)])
@given(st.lists(st.tuples(sizes, sizes), min_size=4, max_size=60))
def test_fit_correlation_is_within_interval(pairs: list[tuple[float, float]]) -> None:
    got = fit(pairs)
    if got is None:
        return
    assert -1 <= got.low <= got.r + 1e-9
    assert got.r - 1e-9 <= got.high <= 1
    centre = statistics.fmean(x for x, _ in pairs), statistics.fmean(y for _, y in pairs)
    assert got.at(centre[0]) == pytest.approx(centre[1])


@given(st.lists(st.tuples(sizes, sizes), min_size=4, max_size=30, unique_by=lambda pair: pair[0]))
def test_fit_is_independent_of_order(pairs: list[tuple[float, float]]) -> None:
    one, other = fit(pairs), fit(reversed(pairs))
    assert (one is None) == (other is None)
    if one:
        assert one.r == pytest.approx(other.r, abs=1e-6)


# --- Classes, years and axes -------------------------------------------------------------------


@given(st.lists(sizes, min_size=1, max_size=60), st.integers(2, 7))
def test_quantile_bounds_give_every_value_a_class(values: list[float], classes: int) -> None:
    bounds = quantile_bounds(values, classes)
    assert bounds == sorted(set(bounds))
    assert {class_of(value, bounds) for value in values} <= set(range(classes))
    ordered = sorted(values)
    numbers = [class_of(value, bounds) for value in ordered]
    assert numbers == sorted(numbers), "expected larger values in equal or higher classes"


def test_quantile_bounds_give_classes_of_equal_size() -> None:
    bounds = quantile_bounds(range(50), 5)
    numbers = [class_of(value, bounds) for value in range(50)]
    assert [numbers.count(n) for n in range(5)] == [10, 10, 10, 10, 10]


def test_runs_split_years_at_gap() -> None:
    assert runs([2019, 2018, 2021, 2022, 2019]) == [[2018, 2019], [2021, 2022]]
    assert runs([]) == []


@given(st.sets(st.integers(1990, 2050)))
def test_runs_contain_all_years_once(years: set[int]) -> None:
    groups = runs(years)
    assert [year for run in groups for year in run] == sorted(years)
    for run in groups:
        assert run == list(range(run[0], run[-1] + 1))


@given(st.floats(0, 1e7), st.floats(0, 1e7))
def test_ticks_cover_range(one: float, other: float) -> None:
    low, high = sorted((one, other))
    marks = ticks(low, high)
    assert marks[0] <= low + 1e-6
    assert marks[-1] >= high - 1e-6
    assert 2 <= len(marks) <= 10
    assert marks == sorted(set(marks))
