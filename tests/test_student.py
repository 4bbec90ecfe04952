"""Student's t against published tables and closed forms; the interval's coverage by simulation."""

from __future__ import annotations

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stilts.stats.student import incomplete_beta, mean_interval, t_cdf, t_quantile

# NIST/SEMATECH e-Handbook of Statistical Methods, section 1.3.6.7.2: upper critical values, as printed.
TABLE = {
    0.90: {1: 3.078, 2: 1.886, 3: 1.638, 4: 1.533, 5: 1.476, 10: 1.372, 30: 1.310, 100: 1.290},
    0.95: {1: 6.314, 2: 2.920, 3: 2.353, 4: 2.132, 5: 2.015, 10: 1.812, 30: 1.697, 100: 1.660},
    0.975: {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 10: 2.228, 30: 2.042, 100: 1.984},
    0.995: {1: 63.657, 2: 9.925, 3: 5.841, 4: 4.604, 5: 4.032, 10: 3.169, 30: 2.750, 100: 2.626},
}


@pytest.mark.parametrize(("p", "freedom"), [(p, n) for p, row in TABLE.items() for n in row])
def test_quantiles_are_those_of_the_published_table(p, freedom):
    assert t_quantile(p, freedom) == pytest.approx(TABLE[p][freedom], abs=5.1e-4)


@given(st.floats(0.001, 0.999))
def test_one_and_two_degrees_of_freedom_have_closed_forms(p):
    assert t_quantile(p, 1) == pytest.approx(math.tan(math.pi * (p - 0.5)), rel=1e-9, abs=1e-9)
    assert t_quantile(p, 2) == pytest.approx((2 * p - 1) / math.sqrt(2 * p * (1 - p)), rel=1e-9, abs=1e-9)


@given(st.floats(-50, 50))
def test_four_degrees_of_freedom_have_a_closed_form(t):
    u = t / math.sqrt(4 + t * t)
    assert t_cdf(t, 4) == pytest.approx(0.5 + 0.75 * (u - u**3 / 3), abs=1e-12)


@given(st.floats(0.01, 0.99), st.integers(1, 400))
def test_the_quantile_inverts_the_distribution(p, freedom):
    assert t_cdf(t_quantile(p, freedom), freedom) == pytest.approx(p, abs=1e-10)


def test_many_degrees_of_freedom_are_the_normal_distribution():
    assert t_quantile(0.975, 10**7) == pytest.approx(statistics.NormalDist().inv_cdf(0.975), abs=1e-6)


@pytest.mark.parametrize("x", [0.0, 0.1, 0.5, 0.77, 1.0])
def test_the_incomplete_beta_of_whole_numbers_is_a_binomial_tail(x):
    for a, b in [(1, 1), (2, 5), (7, 3)]:
        n = a + b - 1
        tail = sum(math.comb(n, j) * x**j * (1 - x) ** (n - j) for j in range(a, n + 1))
        assert incomplete_beta(a, b, x) == pytest.approx(tail, abs=1e-12)


@pytest.mark.parametrize(("p", "freedom"), [(0, 3), (1, 3), (0.5, 0), (0.5, math.nan), (math.nan, 2)])
def test_what_has_no_quantile_is_refused(p, freedom):
    with pytest.raises(ValueError, match="no t quantile"):
        t_quantile(p, freedom)


def test_an_interval_worked_by_hand():
    # Mean 2, sd 1, n 3: half width 4.303 x 1 / sqrt 3 = 2.484.
    assert mean_interval([1.0, 2.0, 3.0]) == pytest.approx((2 - 2.4843, 2 + 2.4843), abs=1e-3)
    assert mean_interval([1.0]) is None
    assert mean_interval([2.0, 2.0, 2.0]) is None
    assert mean_interval([]) is None


def test_intervals_of_five_values_hold_the_truth_95_times_in_100():
    draw = random.Random(1)
    held = 0
    for _ in range(2000):
        low, high = mean_interval([draw.gauss(3, 2) for _ in range(5)])
        held += low <= 3 <= high
    assert 0.935 <= held / 2000 <= 0.965  # three standard errors: 0.0146
