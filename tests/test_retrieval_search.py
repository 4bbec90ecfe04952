"""Nearest neighbours against the textbook double loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stilts.retrieval.search import _first_equal, nearest, unit


def textbook(queries, index):
    """Return the match of each query by float64 cosines, one pair at a time, lowest row first."""
    matches = []
    for q in queries.astype(np.float64):
        best, chosen = -np.inf, 0
        for j, t in enumerate(index.astype(np.float64)):
            norm = np.linalg.norm(q) * np.linalg.norm(t)
            cosine = q @ t / norm if norm else 0.0
            if cosine > best + 1e-12:
                best, chosen = cosine, j
        matches.append(chosen)
    return matches


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 30), st.integers(1, 12), st.integers(1, 40))
def test_equals_the_double_loop_for_every_block_size(seed, n, m, dim, block):
    rng = np.random.default_rng(seed)
    queries, index = rng.normal(size=(n, dim + 1)), rng.normal(size=(m, dim + 1))
    index[rng.integers(m)] = index[0]  # a sentence that occurs twice
    queries[0] = index[-1] * 3
    match, score = nearest(queries.astype(np.float32), index.astype(np.float32), block=block)
    assert match.tolist() == textbook(queries.astype(np.float32), index.astype(np.float32))
    assert score[0] == pytest.approx(1.0, abs=1e-6)
    assert (match.dtype, score.dtype) == (np.int32, np.float32)


def test_equal_sentences_count_as_the_first():
    rng = np.random.default_rng(0)
    index = rng.normal(size=(7, 5)).astype(np.float32)[[0, 1, 2, 1, 0, 3, 1]]
    for block in (1, 2, 3, 7):
        assert nearest(index, index, block=block)[0].tolist() == [0, 1, 2, 1, 0, 5, 1]


def test_equal_cosines_go_to_the_lowest_row():
    index = np.eye(4, dtype=np.float32)
    for block in (1, 2, 3, 4):
        assert nearest(np.ones((2, 4)), index, block=block)[0].tolist() == [0, 0]
    # Identical rows need not have bit-identical products in every block, so that they are merged beforehand.
    assert _first_equal(np.array([[1, -0.0], [2, 0], [1, 0], [2, 0]], np.float32)).tolist() == [0, 1, 0, 1]


def test_length_and_scale_do_not_matter_and_zero_rows_match_nothing():
    index = np.array([[0, 0], [1e30, 0], [0, 1e-30]], np.float32)
    match, score = nearest(np.array([[1e-20, 0], [0, 5], [0, 0]], np.float32), index)
    assert match.tolist() == [1, 2, 0]
    assert score.tolist() == [1.0, 1.0, 0.0]


def test_centring_is_off_and_changes_a_shifted_space():
    rng = np.random.default_rng(3)
    meaning = rng.normal(size=(40, 4))
    source, target = (meaning + np.array(shift) for shift in ([9, 0, 0, 0], [0, 9, 0, 0]))
    plain, centred = (np.mean(nearest(source, target, centre=c)[0] == np.arange(40)) for c in (False, True))
    assert centred == 1.0
    assert plain < 0.5


def test_faults_are_named():
    with pytest.raises(ValueError, match="row 1 is not finite"):
        unit(np.array([[1.0], [np.nan]]))
    with pytest.raises(ValueError, match="do not fit"):
        nearest(np.ones((2, 3)), np.ones((2, 4)))
