from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwyolo.speed.statistics import BETWEEN_PROCESSES, MIN_ROUNDS, Sample, compare, median_interval, summarise

TIMES = st.lists(st.floats(0.1, 1e3), min_size=1, max_size=30)


def rounds(matrix, clean=True):
    return [Sample(r, float(ms), clean) for r, row in enumerate(matrix) for ms in row]


def machine(rng, n, slow=1.0, per_round=5):
    """Two candidates on a shared machine: it drifts, throttles for whole rounds, and single passes are hit hard."""
    state = np.exp(np.cumsum(rng.normal(0, 0.03, n)))[:, None] * np.where(rng.random((n, 1)) < 0.2, 1.4, 1.0)
    hit = [np.where(rng.random((n, per_round)) < 0.1, 1 + rng.exponential(2, (n, per_round)), 1) for _ in range(2)]
    noise = [np.exp(rng.normal(0, 0.02, (n, per_round))) for _ in range(2)]
    return rounds(10 * slow * state * hit[0] * noise[0]), rounds(10 * state * hit[1] * noise[1])


@pytest.mark.parametrize("n", [6, 10, 20, 40])
def test_intervals_of_equal_candidates_hold_1_as_often_as_they_claim(n):
    rng = np.random.default_rng(n)
    found = [compare(*machine(rng, n)) for _ in range(300)]

    assert 0.93 <= np.mean([ratio.low <= 1 <= ratio.high for ratio in found])
    assert 0.93 <= np.mean([ratio.verdict == "no difference shown" for ratio in found])


def test_a_candidate_that_is_10_percent_dearer_is_called_slower():
    rng = np.random.default_rng(0)
    found = [compare(*machine(rng, 20, slow=1.1)) for _ in range(200)]

    assert 0.99 <= np.mean([ratio.verdict == "slower" for ratio in found])
    assert 1.1 == pytest.approx(np.median([ratio.ratio for ratio in found]), abs=0.005)


def test_a_ratio_is_of_samples_that_did_not_wait_and_a_time_of_those_that_nothing_disturbed():
    base = [*(Sample(r, 20.0, False, False) for r in range(12)), Sample(12, 10.0, True, False)]
    other = [*(Sample(r, 30.0, False, False) for r in range(12)), *(Sample(r, 900.0, False, True) for r in range(12))]

    assert (1.5, 12, "slower") == (
        compare(other, base).ratio,
        compare(other, base).rounds,
        compare(other, base).verdict,
    )
    assert (10.0, 1) == (summarise(base).median_ms, summarise(base).clean)
    assert summarise(other).median_ms is None


def test_only_rounds_in_which_both_are_clean_are_compared():
    base = [*rounds([[10.0] * 2] * 8), Sample(8, 1.0, False), Sample(9, 10.0, True)]
    other = [*rounds([[11.0] * 2] * 8), Sample(8, 99.0, True), Sample(9, 99.0, False)]
    ratio = compare(other, base)

    assert (8, "slower") == (ratio.rounds, ratio.verdict)
    assert 1.1 == pytest.approx(ratio.high / (1 + BETWEEN_PROCESSES))


@pytest.mark.parametrize(
    ("slower", "verdict"), [(1.0, "no difference shown"), (1.009, "no difference shown"), (1.011, "slower")]
)
def test_less_than_two_processes_of_one_model_differ_shows_no_difference(slower, verdict):
    ratio = compare(rounds([[10.0 * slower] * 2] * 3 + [[11.0] * 2] * 3), rounds([[10.0] * 2] * 6))

    assert (slower / 1.01, verdict) == (pytest.approx(ratio.low), ratio.verdict)


@given(st.lists(st.floats(0.5, 2), min_size=MIN_ROUNDS, max_size=25), st.floats(0.1, 100))
def test_the_unit_of_time_does_not_matter_and_swapping_inverts(factors, unit):
    base = rounds([[10.0, 11.0]] * len(factors))
    other = rounds([[10.0 * f, 11.0 * f] for f in factors])
    scaled = (
        [Sample(s.round, s.ms * unit, s.clean) for s in other],
        [Sample(s.round, s.ms * unit, s.clean) for s in base],
    )
    there, back = compare(other, base), compare(base, other)

    assert there.ratio == pytest.approx(compare(*scaled).ratio)
    assert (there.low, there.high) == (pytest.approx(1 / back.high), pytest.approx(1 / back.low))
    assert {"faster": "slower", "slower": "faster"}.get(there.verdict, there.verdict) == back.verdict


@given(TIMES)
def test_the_order_of_samples_does_not_matter(times):
    samples = [Sample(i % 7, ms, True) for i, ms in enumerate(times)]

    assert summarise(samples) == summarise(samples[::-1])


def test_what_was_disturbed_is_counted_and_not_used():
    samples = [*rounds([[10.0, 12.0]] * 7), Sample(7, 500.0, False), Sample(0, 900.0, False)]
    summary = summarise(samples)

    assert (16, 14, 8, 7) == (summary.samples, summary.clean, summary.rounds, summary.clean_rounds)
    assert (11.0, 10.0) == (summary.median_ms, summary.min_ms)
    assert summary.p99_ms <= 12.0


def test_the_interval_is_of_the_median_that_it_stands_beside():
    few_and_many = [*rounds([[10.0] * 20] * 6), *(Sample(6 + r, 20.0, True) for r in range(20))]
    summary = summarise(few_and_many)

    assert (20.0, 20.0, 20.0) == (summary.low_ms, summary.median_ms, summary.high_ms)


def test_without_samples_nothing_is_known():
    summary = summarise([])

    assert (None,) * 6 == (
        summary.median_ms,
        summary.p90_ms,
        summary.p99_ms,
        summary.min_ms,
        summary.low_ms,
        summary.high_ms,
    )
    assert (0, 0, 0, 0) == (summary.samples, summary.clean, summary.rounds, summary.clean_rounds)


def test_percentiles_are_interpolated_between_neighbours():
    summary = summarise([Sample(0, float(ms), True) for ms in range(1, 12)])

    assert (10.0, 10.9) == (summary.p90_ms, pytest.approx(summary.p99_ms))


def test_where_nothing_is_known_of_disturbances_all_samples_count_and_none_is_called_clean():
    summary = summarise([Sample(r, 5.0, None) for r in range(6)])

    assert (6, 0, 6, 5.0) == (summary.samples, summary.clean, summary.clean_rounds, summary.median_ms)


@pytest.mark.parametrize(
    ("candidate", "base"),
    [
        ([], []),
        (rounds([[1.0] * 3] * 5), rounds([[1.0] * 3] * 5)),
        (rounds([[1.0]] * 9), rounds([[1.0]] * 9)),
        (rounds([[1.0] * 5] * 9, clean=False), rounds([[1.0] * 5] * 9)),
    ],
)
def test_without_enough_clean_rounds_there_is_no_verdict(candidate, base):
    ratio = compare(candidate, base)

    assert ("not enough clean rounds", None, None) == (ratio.verdict, ratio.low, ratio.high)
    assert "are needed" in ratio.reason


@pytest.mark.parametrize("n", range(MIN_ROUNDS, 41))
def test_order_statistics_cover_the_median_with_95_percent(n):
    low, high = median_interval(range(n))
    inside = np.random.default_rng(n).random((4000, n))
    inside.sort(axis=1)

    assert 0.94 <= np.mean((inside[:, low] <= 0.5) & (inside[:, high] >= 0.5))
    assert low == n - 1 - high


@pytest.mark.parametrize("n", [6, 7, 10, 25, 100, 999, 3000])
def test_ranks_are_those_of_the_exact_binomial_also_where_a_float_would_overflow(n):
    low, high = median_interval(range(n))
    outside = sum(math.comb(n, k) for k in range(low + 1))  # of 2**n, on each side

    assert 40 * outside <= 2**n < 40 * (outside + math.comb(n, low + 1))
    assert n - 1 == low + high
