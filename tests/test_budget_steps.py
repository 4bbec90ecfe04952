"""Curves, areas and Pareto fronts against brute force."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stilts.budget.steps import Configuration, affords, choose, front, levels, step_at, weights

COSTS = st.lists(st.integers(1, 12), min_size=1, max_size=8)
SCORES = st.integers(0, 6).map(float)


def configurations(costs):
    return [Configuration("b", f"p{k}", float(c), k) for k, c in enumerate(costs)]


@given(COSTS, st.data(), st.integers(0, 14))
def test_the_choice_is_the_best_on_dev_that_is_affordable(costs, data, budget):
    found = configurations(costs)
    dev = {c: data.draw(SCORES) for c in found}
    taken = choose(found, budget, dev)
    here = [c for c in found if c.cost <= budget]
    if not here:
        assert taken is None
        return
    best = [c for c in here if dev[c] == max(dev[x] for x in here)]
    cheapest = [c for c in best if c.cost == min(x.cost for x in best)]
    assert taken == cheapest[0]
    dearest = choose(found, budget, None)
    assert dearest == next(c for c in here if c.cost == max(x.cost for x in here))


def test_a_missing_dev_score_is_an_error_only_where_it_is_affordable():
    cheap, dear = configurations([1, 2])
    assert choose([cheap, dear], 1, {cheap: 5.0}) == cheap
    with pytest.raises(KeyError):
        choose([cheap, dear], 2, {cheap: 5.0})


@given(COSTS, st.data(), st.floats(0.2, 15), st.floats(0.2, 15))
def test_the_area_is_the_integral_over_the_logarithm(costs, data, one, other):
    low, high = min(one, other), max(one, other) * 1.01
    found = configurations(costs)
    edges = levels(found)
    values = [data.draw(SCORES) for _ in edges]
    shares = weights(edges, low, high)
    if low < edges[0] * (1 - 1e-8):
        assert shares is None
        return
    if shares is None:  # within rounding of the first step
        return
    assert sum(shares) == pytest.approx(1)
    # Midpoints of a fine grid: each cell may hold a step, so the error is one cell for each.
    n = 4000
    mids = [low * (high / low) ** ((k + 0.5) / n) for k in range(n)]
    brute = sum(values[max(j for j, e in enumerate(edges) if e <= x * (1 + 1e-9))] for x in mids) / n
    assert sum(w * v for w, v in zip(shares, values, strict=True)) == pytest.approx(brute, abs=6 * len(edges) / n)


def test_an_area_by_hand():
    # 10 from 1 to 2, 20 from 2 to 8: a third of log 8 and two thirds.
    assert weights([1, 2], 1, 8) == pytest.approx([1 / 3, 2 / 3])
    assert weights([1, 2], 4, 8) == pytest.approx([0, 1])
    assert weights([1, 16], 1, 8) == pytest.approx([1, 0])
    assert weights([2], 1, 8) is None
    assert weights([], 1, 8) is None


@given(COSTS, st.floats(0.5, 14))
def test_the_step_at_a_budget_is_the_last_that_it_affords(costs, budget):
    edges = levels(configurations(costs))
    assert edges == sorted(set(map(float, costs)))
    here = [k for k, e in enumerate(edges) if affords(budget, e)]
    assert step_at(edges, budget) == (here[-1] if here else None)


def test_a_share_of_one_affords_the_whole_in_spite_of_rounding():
    third = 1 / 3
    assert affords(third + third + third - 2e-16, 1.0)
    assert step_at([0.1 + 0.2], 0.3) == 0
    assert not affords(1.0, 1.0 + 1e-6)


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(0, 6)), max_size=10))
def test_the_front_is_what_nothing_dominates(points):
    def beats(a, b):
        return a[0] <= b[0] and a[1] >= b[1] and a != b

    assert front(points) == [not any(beats(other, p) for other in points) for p in points]


def test_levels_of_costs_that_differ_by_rounding_are_one_step():
    found = configurations([1, 2])
    assert levels([*found, Configuration("b", "p9", 1 + 1e-12, 9)]) == [1.0, 2.0]
    assert math.isclose(sum(weights(levels(found), 1, 2)), 1)
