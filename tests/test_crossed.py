"""The spread of crossed tables: by hand, against plain Student's t, and its error rates by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from stilts.stats.crossed import spread, spreads
from stilts.stats.holm import holm
from stilts.stats.power import detectable, noncentral_t_cdf, power
from stilts.stats.simulation import (
    EXAMPLES,
    LANGUAGE,
    SEED,
    Components,
    bootstrap_miss_rate,
    draw,
    miss_rate,
)
from stilts.stats.student import mean_interval, t_quantile

# scipy 1.17.1: stats.nct.cdf(t, freedom, shift).
NONCENTRAL = [
    (2.0, 2, 1.0, 0.70666205),
    (4.303, 2, 3.0, 0.612654622),
    (1.5, 3.7, -1.0, 0.984197296),
    (2.262, 9, 2.5, 0.393819992),
    (9.0, 9, 7.0, 0.770513164),
    (1.98, 57.3, 0.5, 0.926058411),
]
# scipy 1.17.1: stats.t.ppf(p, freedom), for the broken degrees of freedom that Satterthwaite's formula gives.
QUANTILES = [(0.975, 2.4, 3.683504289675019), (0.9, 9.8, 1.3741634495639696), (0.995, 30.5, 2.746967063704737)]
CASES = [
    Components(examples=0.0, crossed=0.0),
    Components(examples=0.2, crossed=0.1),
    Components(),
    Components(examples=4.0),
    Components(seed=0.1),
    Components(language=2.0),
]


@pytest.mark.parametrize(("t", "freedom", "shift", "p"), NONCENTRAL)
def test_noncentral_t_is_scipys(t, freedom, shift, p):
    assert noncentral_t_cdf(t, freedom, shift) == pytest.approx(p, abs=2e-9)


@pytest.mark.parametrize(("p", "freedom", "t"), QUANTILES)
def test_t_with_broken_degrees_of_freedom_is_scipys(p, freedom, t):
    assert t_quantile(p, freedom) == pytest.approx(t, rel=1e-12)


def test_power_is_the_share_of_simulated_tests_that_find_the_difference():
    rng = np.random.default_rng(1)
    effect = detectable(1 / math.sqrt(5), 4, 0.05)
    values = rng.normal(effect, 1, (40000, 5))
    t = values.mean(1) / (values.std(1, ddof=1) / math.sqrt(5))
    found = (np.abs(t) > t_quantile(0.975, 4)).mean()
    assert found == pytest.approx(0.8, abs=0.01)
    assert power(effect, 1 / math.sqrt(5), 4, 0.05) == pytest.approx(0.8, abs=1e-5)
    assert power(0.0, 1.0, 4, 0.05) == pytest.approx(0.05, abs=1e-6)


def test_the_freedom_is_never_below_that_of_the_smallest_factor():
    # Crossings as large as rows and columns leave a variance near 0.
    tables = np.random.default_rng(3).normal(0, 1, (20000, 2, 3))
    for _, freedom in spreads(tables, [1, 2]):
        assert freedom.min() >= 1
        assert np.isfinite(freedom).all()


def test_one_random_axis_is_students_t_on_its_means():
    table = np.random.default_rng(2).normal(1, 3, (6, 4, 20))
    found = spread(table, [0])
    assert found.interval(table.mean()) == pytest.approx(mean_interval(list(table.mean((1, 2)))), rel=1e-10)


def test_two_random_axes_worked_by_hand():
    # Row means 2, 4; column means 1, 2, 6; crossings -1, 1, 0 and 1, -1, 0.
    table = np.array([[-1.0, 2.0, 5.0], [3.0, 2.0, 7.0]])
    rows, columns, both = 2 / (2 * 1), (4 + 1 + 9) / (3 * 2), 4 / (2 * 1 * 3 * 2)
    (_, _), (_, _), (error, freedom) = [(e[0], f[0]) for e, f in spreads(table[None], [1, 2])]
    variance = rows + columns - both
    assert error == pytest.approx(math.sqrt(variance))
    assert freedom == pytest.approx(variance**2 / (rows**2 / 1 + columns**2 / 2 + both**2 / 2))


@pytest.mark.parametrize("axes", [(SEED,), (SEED, EXAMPLES), (LANGUAGE, EXAMPLES), (SEED, LANGUAGE, EXAMPLES)])
def test_the_variance_is_that_of_the_mean_on_average(axes):
    """The mean over many tables of the estimated variance is the variance of their means."""
    rng = np.random.default_rng(4)
    shape = (30000, 4, 3, 5)
    tables = np.zeros(shape)
    for drawn in [(1,), (2,), (3,), (1, 2), (1, 3), (2, 3), (1, 2, 3)]:
        if set(drawn) <= set(axes):
            tables = tables + rng.normal(0, len(drawn), [n if a in (0, *drawn) else 1 for a, n in enumerate(shape)])
    *_, (errors, _) = spreads(tables, axes)
    # Tables whose estimate is negative count as 0, so that the mean may lie a little above, never below.
    assert 0.97 < (errors**2).mean() / tables.mean((1, 2, 3)).var() < 1.1


@pytest.mark.parametrize("random", [(SEED,), (SEED, EXAMPLES)], ids=["these examples", "other examples"])
def test_intervals_miss_the_truth_5_times_in_100(random):
    rng = np.random.default_rng(5)
    rates = {(how, n): miss_rate(draw(rng, how, 6000, n, 4, random), random) for how in CASES for n in (3, 5, 10)}
    assert {k: r for k, r in rates.items() if not 0.03 <= r <= 0.07} == {}


def test_intervals_for_other_languages_hold_where_languages_differ():
    rng = np.random.default_rng(6)
    random = (SEED, LANGUAGE, EXAMPLES)
    cases = [Components(language=2.0), Components(language=4.0), Components(examples=4.0, language=1.0)]
    rates = {(how, n): miss_rate(draw(rng, how, 4000, n, 4, random), random) for how in cases for n in (3, 5, 10)}
    assert {k: r for k, r in rates.items() if not 0.03 <= r <= 0.07} == {}


def test_the_naive_bootstrap_does_not():
    rng = np.random.default_rng(7)
    for n, least in ((3, 0.15), (5, 0.09)):
        assert bootstrap_miss_rate(rng, draw(rng, CASES[1], 2000, n, 4, (SEED, EXAMPLES))) > least


def test_seeds_alone_say_too_little_of_other_examples():
    rng = np.random.default_rng(8)
    studies = draw(rng, Components(), 4000, 8, 4, (SEED, EXAMPLES))
    assert miss_rate(studies, (SEED,)) > 0.25


def test_what_has_no_spread_is_said():
    assert spread(np.ones((1, 2, 20)), [0]) is None
    assert spread(np.full((3, 2, 20), 0.1), [0, 2]) is None
    with pytest.raises(ValueError, match="whole table"):
        spread(np.array([[1.0], [math.nan]]), [0])


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([None, 0.5, 0.9]) == [None, 1.0, 1.0]
    assert holm([]) == []
