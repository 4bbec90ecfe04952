"""Mining and ranking against the definitions written out in loops, whatever the blocks."""

from __future__ import annotations

import tracemalloc
import zlib

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stilts.retrieval import neighbours as searching
from stilts.retrieval.mining import Rows, first_of, mine
from stilts.retrieval.neighbours import block_of, neighbours
from stilts.retrieval.rank import best_rows, rank


def cosines(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    x, y = x.astype(float), y.astype(float)
    return (x @ y.T) / np.linalg.norm(x, axis=1)[:, None] / np.linalg.norm(y, axis=1)


def by_loops(x: np.ndarray, y: np.ndarray, k: int) -> list[tuple[int, int, float]]:
    """Mine as the shared task's baseline is described, one sentence after the other."""
    cosine = cosines(x, y)
    near_y = [sorted(range(len(y)), key=lambda j, i=i: (-cosine[i, j], j))[:k] for i in range(len(x))]
    near_x = [sorted(range(len(x)), key=lambda i, j=j: (-cosine[i, j], i))[:k] for j in range(len(y))]
    mean_x = [sum(cosine[i, j] for j in near_y[i]) / len(near_y[i]) for i in range(len(x))]
    mean_y = [sum(cosine[i, j] for i in near_x[j]) / len(near_x[j]) for j in range(len(y))]

    def margin(i: int, j: int) -> float:
        return cosine[i, j] / ((mean_x[i] + mean_y[j]) / 2)

    proposals = [(i, max(near_y[i], key=lambda j, i=i: margin(i, j))) for i in range(len(x))]
    proposals += [(max(near_x[j], key=lambda i, j=j: margin(i, j)), j) for j in range(len(y))]
    pairs, left, right = [], set(), set()
    for i, j in sorted(proposals, key=lambda p: -margin(*p)):
        if i not in left and j not in right and margin(i, j) > 0:
            pairs.append((i, j, margin(i, j)))
            left.add(i)
            right.add(j)
    return pairs


@pytest.fixture
def blocks(monkeypatch):
    """Return a function that sets rows and columns of a block, and the list of the shapes computed since."""
    shapes, products = [], searching._products

    def counted(left, right):
        shapes.append((len(left), len(right)))
        return products(left, right)

    monkeypatch.setattr(searching, "_products", counted)
    return shapes, lambda *size: monkeypatch.setattr(searching, "block_of", lambda *_: size)


def corpora(seed: int, n: int, m: int, shared: int, noise: float = 0.6) -> tuple[np.ndarray, np.ndarray]:
    """Return positive-cosine sentence vectors; the first `shared` rows of both sides are noisy translations."""
    make = np.random.default_rng(seed)
    x, y = make.normal(size=(n, 8)) + 1.5, make.normal(size=(m, 8)) + 1.5
    y[:shared] = x[:shared] + noise * make.normal(size=(shared, 8))
    return x.astype(np.float32), y.astype(np.float32)


@pytest.mark.parametrize("block", [(1, 1), (7, 3), (3, 64), (4096, 512)])
@pytest.mark.parametrize(("n", "m", "shared"), [(20, 27, 9), (5, 3, 2), (1, 1, 1), (2, 40, 2)])
def test_mining_is_the_definition(n, m, shared, block, blocks):
    blocks[1](*block)
    for seed in range(5):
        x, y = corpora(seed, n, m, shared)
        query, match, score = mine(x, y, 4)
        wanted = by_loops(x, y, 4)
        assert list(zip(query.tolist(), match.tolist(), strict=True)) == [(i, j) for i, j, _ in wanted]
        np.testing.assert_allclose(score, [s for *_, s in wanted], rtol=2e-5)


def test_real_translations_are_mined_by_the_definition(hub_mirror, blocks):
    """Tatoeba's German and English, 600 sentences each, as random projections of their letters' trigrams."""
    blocks[1](100, 70)
    table = pq.read_table(next(hub_mirror.glob("datasets/mteb/tatoeba-bitext-mining/deu-eng/*.parquet")))
    make = np.random.default_rng(0).normal(size=(1 << 12, 48))
    sides = []
    for column in ("sentence1", "sentence2"):
        texts = [f"  {t.strip().lower()}  " for t in table[column].to_pylist()[:600]]
        chosen = [texts[i] for i in first_of(texts)[0]]
        grams = [[zlib.crc32(t[i : i + 3].encode()) % len(make) for i in range(len(t) - 2)] for t in chosen]
        sides.append(np.stack([make[g].sum(axis=0) for g in grams]).astype(np.float32))
    query, match, score = mine(*sides)
    wanted = by_loops(*sides, 4)
    assert len(wanted) > 150
    assert list(zip(query.tolist(), match.tolist(), strict=True)) == [(i, j) for i, j, _ in wanted]
    np.testing.assert_allclose(score, [s for *_, s in wanted], rtol=1e-4)


def test_a_margin_by_hand():
    # Unit vectors at 0, 60 and 10, 90 degrees; with two neighbours each, all cosines are in every mean.
    at = np.deg2rad([0.0, 60.0]), np.deg2rad([10.0, 90.0])
    x, y = (np.stack([np.cos(a), np.sin(a)], axis=1).astype(np.float32) for a in at)
    c = np.cos(np.deg2rad([[10.0, 90.0], [50.0, 30.0]]))
    query, match, score = mine(x, y)
    first = c[0, 0] / (((c[0, 0] + c[0, 1]) / 2 + (c[0, 0] + c[1, 0]) / 2) / 2)
    second = c[1, 1] / (((c[1, 0] + c[1, 1]) / 2 + (c[0, 1] + c[1, 1]) / 2) / 2)
    found = dict(zip(zip(query.tolist(), match.tolist(), strict=True), score, strict=True))
    assert found == {(0, 0): pytest.approx(first, rel=1e-5), (1, 1): pytest.approx(second, rel=1e-5)}


def test_a_pair_without_a_positive_margin_is_left_out():
    # The first two would pair up last, at -0.017 / 0.19: the query is turned away from all, its candidate is not.
    x, y = (np.stack([np.cos(a), np.sin(a)], axis=1) for a in np.deg2rad([[101.0, 0.0], [10.0, 0.0]]))
    query, match, _ = mine(x.astype(np.float32), y.astype(np.float32))
    assert list(zip(query.tolist(), match.tolist(), strict=True)) == [(1, 1)]


def test_margins_find_more_than_nearest_neighbours():
    """A hub near to everything takes no translation away: the ratio divides by how near a sentence is to others."""
    nearest, mined = [], []
    for seed in range(10):
        x, y = corpora(seed, 40, 41, 40, noise=0.9)
        y[40] = x.mean(axis=0)
        nearest += (cosines(x, y).argmax(axis=1) == np.arange(40)).tolist()
        query, match, _ = mine(x, y)
        pairs = dict(zip(query.tolist(), match.tolist(), strict=True))
        mined += [pairs.get(i) == i for i in range(40)]
    assert np.mean(mined) > np.mean(nearest) + 0.05


def best_of(scores: np.ndarray, k: int) -> tuple[list, list]:
    """Return the k largest scores of each row and their columns by a stable sort."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(scores, order, axis=1).tolist(), order.tolist()


@settings(max_examples=40)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 6), st.integers(1, 90), st.integers(1, 400))
def test_the_best_of_blocks_are_those_of_one_stable_sort(n, m, k, rows, columns):
    """Both ways, with many ties, whatever the blocks; groups of maxima are whole, broken or none."""
    scores = np.random.default_rng(n * m).integers(-3, 40, (n, m)).astype(np.float32)
    ahead, behind = searching._nothing(n, min(k, m)), searching._nothing(m, min(k, n))
    for row in range(0, n, rows):
        for column in range(0, m, columns):
            block = torch.from_numpy(scores[row : row + rows, column : column + columns].copy())
            searching._compete(searching._part(ahead, row, len(block)), block, 1, column)
            searching._compete(searching._part(behind, column, block.shape[1]), block, 0, row)
    for (value, at), wanted in ((ahead, best_of(scores, k)), (behind, best_of(scores.T, k))):
        assert (value.tolist(), at.tolist()) == wanted


@settings(max_examples=20)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 6), st.integers(0, 99))
def test_neighbours_of_any_size(n, m, k, seed):
    x, y = corpora(seed, n, m, min(n, m), noise=0.1)
    exact = cosines(x, y)
    for (cosine, found), wanted in zip(neighbours(x, y, k, 16), (exact, exact.T), strict=True):
        assert cosine.shape == (len(wanted), min(k, wanted.shape[1]))
        assert all(len(set(row)) == len(row) for row in found.tolist())
        np.testing.assert_allclose(cosine, -np.sort(-wanted, axis=1)[:, :k], atol=1e-5)
        np.testing.assert_allclose(np.take_along_axis(wanted, found, axis=1), cosine, atol=1e-5)


@pytest.mark.parametrize("alike", [False, True], ids=["vectors", "all the same vector"])
def test_memory_holds_what_is_allowed_and_changes_no_pair(alike, tmp_path, blocks):
    """Of vectors in files, some rows left out; equal vectors are the most there can be to put in order."""
    make = np.random.default_rng(0)
    sides = {"x": make.normal(size=(3000, 64)) + 0.3, "y": make.normal(size=(4000, 64)) + 0.3}
    sides["y"][:1500] = sides["x"][:1500] + make.normal(size=(1500, 64))
    for side, vectors in sides.items():
        np.save(tmp_path / f"{side}.npy", (np.ones_like(vectors) if alike else vectors).astype(np.float32))
    x, y = (np.load(tmp_path / f"{side}.npy", mmap_mode="r") for side in "xy")
    x, y = Rows(x, np.arange(0, 3000, 2)), Rows(y, np.arange(0, 4000, 2))
    mined = mine(x, y, memory=1000)
    assert blocks[0] == [(1500, 2000)]
    for memory in (4, 9):
        blocks[0].clear()
        tracemalloc.start()
        again = mine(x, y, memory=memory)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        rows, columns = block_of(memory, 64)
        assert len(blocks[0]) == -(-1500 // rows) * -(-2000 // columns) > 1
        assert np.all(np.array(blocks[0]) <= (rows, columns))
        neighbours_found = (1500 + 2000) * 4 * (4 + 4) * 6  # with means, margins and pairs
        assert peak + 4 * rows * columns < memory * 1e6 + neighbours_found  # torch's scores are not traced
        if not alike:
            assert [again[0].tolist(), again[1].tolist()] == [mined[0].tolist(), mined[1].tolist()]
            np.testing.assert_allclose(again[2], mined[2], rtol=1e-5)


def test_what_cannot_be_searched_is_refused():
    x, y = corpora(0, 3, 3, 1)
    with pytest.raises(ValueError, match="nothing to search"):
        neighbours(x, y[:0], 4, 16)
    y[1, 0] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        mine(x, y)


def test_repeated_sentences_are_mined_once_and_marked():
    first, alone = first_of(["a", "b", "a", "c", "b", "b"])
    assert first.tolist() == [0, 1, 3]
    assert alone.tolist() == [False, False, True]


# --- ranking


@pytest.mark.parametrize("held", [1, 100, 10**6])
def test_ranks_and_best_candidates_are_those_of_a_sort(held):
    make = np.random.default_rng(1)
    queries = make.normal(size=(9, 5)).astype(np.float32)
    candidates = make.normal(size=(33, 5)).astype(np.float32)
    gold = [sorted(make.choice(33, size=make.integers(0, 4), replace=False).tolist()) for _ in queries]
    seen = []
    for query, best, scores, ranks in rank(queries, candidates, gold, top=7, held=held):
        exact = queries[query] @ candidates.T
        order = np.argsort(-exact, kind="stable")
        np.testing.assert_allclose(scores, exact[order[:7]], rtol=1e-5)
        assert best.tolist() == order[:7].tolist()
        assert ranks == [order.tolist().index(g) + 1 for g in gold[query]]
        seen.append(query)
    assert seen == list(range(9))


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30), st.integers(1, 12))
def test_the_best_rows_are_a_stable_sort(values, top):
    scores = np.asarray(values, np.float32)
    assert best_rows(scores, top).tolist() == np.argsort(-scores, kind="stable")[:top].tolist()


def test_vectors_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="diverged"):
        list(rank(np.full((1, 2), np.nan, np.float32), np.ones((3, 2), np.float32), [[0]]))
