"""Ranking and mining measures against hand-worked cases and the definitions written out in loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stilts.metrics.judge_search import judge_ranks
from stilts.metrics.measure import FULL_MAP, MAP20, MRR20, headline_protocol, layer_of, layer_protocol, metrics_of
from stilts.metrics.ranking import (
    average_precision,
    best_threshold,
    mean_average_precision,
    mean_reciprocal_rank,
    pair_f1,
    ranks_of,
)
from stilts.tasks.registry import get_task


def test_average_precision_by_hand():
    # Right at ranks 1, 3 and 6 of 3: (1/1 + 2/3 + 3/6) / 3.
    assert average_precision([6, 1, 3], 3) == pytest.approx((1 + 2 / 3 + 1 / 2) / 3)
    # Only ranks up to 3 are looked at, the divisor stays 3.
    assert average_precision([6, 1, 3], 3, top=3) == pytest.approx((1 + 2 / 3) / 3)
    # More right candidates than ranks looked at: the divisor is the number of ranks, so 1 can be reached.
    assert average_precision(range(1, 12), 11, top=5) == pytest.approx(1.0)
    # One of two right candidates was never there.
    assert average_precision([1], 2) == pytest.approx(0.5)
    assert average_precision([], 2, top=20) == 0.0


def from_definition(relevant: list[bool], total: int, top: int) -> float:
    """Average precision as a walk down the list: precision at every right place."""
    score = 0.0
    for k in range(1, min(top or len(relevant), len(relevant)) + 1):
        if relevant[k - 1]:
            score += sum(relevant[:k]) / k
    return score / (min(total, top) if top else total)


@given(st.lists(st.booleans(), min_size=1, max_size=30).filter(any), st.integers(0, 25), st.integers(0, 3))
def test_average_precision_is_its_definition(relevant, top, unseen):
    ranks = [k for k, hit in enumerate(relevant, 1) if hit]
    total = len(ranks) + unseen
    assert average_precision(ranks, total, top) == pytest.approx(from_definition(relevant, total, top))


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=20))
def test_ranks_are_places_in_the_sorted_list(values):
    scores = np.asarray(values, np.float32)
    order = sorted(range(len(values)), key=lambda k: (-values[k], k))
    assert ranks_of(scores, range(len(values))) == [order.index(k) + 1 for k in range(len(values))]


def test_means_are_over_queries_in_percent():
    found = mean_average_precision([([1], 1), ([2], 1), ([], 1)], 20)
    assert (found.metric, found.value, found.n) == ("map", pytest.approx(50.0), 3)
    found = mean_reciprocal_rank([1, 4, 21, None])
    assert (found.metric, found.value, found.n) == ("mrr", pytest.approx(31.25), 4)
    assert mean_reciprocal_rank([20]).value == pytest.approx(5.0)


def test_right_candidates_that_are_not_there_count_as_not_found():
    data = {"language": ["en"] * 3, "side": ["query", "candidate", "query"], "gold": [["a", "gone"], [], ["gone"]]}
    ranks = {"query": [0], "rank": [2]}
    found = {p: m.value for p, _, m in judge_ranks(get_task("lareqa"), ranks, data)}
    assert found == {MAP20: 100 * (1 / 2) / 2 / 2, FULL_MAP: 100 * (1 / 2) / 2 / 2}  # one of two at 2; of one none
    assert [(p, m.value) for p, _, m in judge_ranks(get_task("mewslix"), ranks, data)] == [(MRR20, 100 * (1 / 2) / 2)]


def test_a_threshold_by_hand():
    # Kept 1: P 1, R 1/3, F .5. Kept 2: F .4. Kept 3: P 2/3, R 2/3, F .667. Kept 4: F .571.
    scores, right = [1.4, 1.2, 1.1, 0.9], [True, False, True, False]
    assert best_threshold(scores, right, 3) == pytest.approx((1.1 + 0.9) / 2)
    assert best_threshold(scores[:1], [True], 3) == 1.4
    assert best_threshold(scores, [False] * 4, 3) == 0.0
    assert best_threshold([], [], 3) == 0.0


def f1_at(threshold: float, scores: list[float], right: list[bool], relevant: int) -> float:
    kept = [hit for score, hit in zip(scores, right, strict=True) if score >= threshold]
    return pair_f1(len(kept), sum(kept), relevant)[0].value


@given(st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=1, max_size=15), st.integers(1, 10))
def test_no_threshold_is_better_than_the_best(pairs, more):
    scores, right = [float(s) for s, _ in pairs], [hit for _, hit in pairs]
    relevant = sum(right) + more
    best = f1_at(best_threshold(scores, right, relevant), scores, right, relevant)
    assert best == pytest.approx(max(f1_at(t, scores, right, relevant) for t in [0.0, *scores]))


def test_pair_f1_by_hand():
    found = {m.metric: m.value for m in pair_f1(8, 6, 10)}
    assert found == {"f1": pytest.approx(66.6667, abs=1e-4), "precision": 75.0, "recall": 60.0}
    assert {m.value for m in pair_f1(0, 0, 10)} == {0.0}
    assert {m.n for m in pair_f1(8, 6, 10)} == {10}


def test_protocols_by_name():
    assert layer_protocol(14, "mean") == "layer14-mean"
    assert layer_protocol(14, "mean", "full") == "full-layer14-mean"
    assert layer_of("full-dev-layer14-mean") == layer_of("layer14-mean") == (14, "mean")
    assert headline_protocol("bitext_mining", 7, "first", "gold") == "gold-layer7-first"
    assert headline_protocol("answer_retrieval", 7, "mean") == MAP20 == "sentence-map20"
    assert headline_protocol("entity_retrieval", 7, "mean") == MRR20 == "mrr20"
    assert metrics_of("answer_retrieval", MAP20) == ("map",)
    assert metrics_of("entity_retrieval", MRR20) == ("mrr",)
    assert metrics_of("bitext_mining", "full-layer7-mean") == ("f1",)
    assert not math.isnan(mean_reciprocal_rank([3]).value)
