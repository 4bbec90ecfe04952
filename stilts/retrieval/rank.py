"""Ranking of all candidates for each query, block by block: the best of them and the ranks of the right ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from stilts.metrics.ranking import TOP, ranks_of

SCORES = 32_000_000  # scores held at once (128 MB)
BLOCK = 16_384  # candidates read at once


def rank(
    queries: np.ndarray, candidates: np.ndarray, gold: Sequence[Sequence[int]], top: int = TOP, held: int = SCORES
) -> Iterator[tuple[int, np.ndarray, np.ndarray, list[int]]]:
    """Yield (query, rows of its best candidates int32 [top], their scores float32 [top], ranks of its gold).

    queries, candidates: float32 [n, dim] and [m, dim], vectors of length 1, in memory or in files; gold: the right
    candidates of each query. Scores are inner products; equal ones rank by the candidate's row. Memory holds `held`
    scores and one block of candidates. Raises ValueError for vectors that are not finite.
    """
    size = max(1, held // max(1, len(candidates)))
    for start in range(0, len(queries), size):
        left = np.asarray(queries[start : start + size], np.float32)
        scores = np.empty((len(left), len(candidates)), np.float32)
        for column in range(0, len(candidates), BLOCK):
            right = np.asarray(candidates[column : column + BLOCK], np.float32)
            scores[:, column : column + BLOCK] = left @ right.T
        if not np.isfinite(scores).all():
            raise ValueError("embeddings are not finite: the model diverged; lower its learning rate")
        for row, values in enumerate(scores):
            best = best_rows(values, top)
            yield start + row, best, values[best], ranks_of(values, gold[start + row])


def best_rows(scores: np.ndarray, top: int) -> np.ndarray:
    """Return the rows of the `top` largest scores, largest first, equal ones by their place, int32."""
    if len(scores) > top:
        least = np.partition(scores, len(scores) - top)[len(scores) - top]
        rows = np.flatnonzero(scores >= least)
    else:
        rows = np.arange(len(scores))
    return rows[np.argsort(-scores[rows], kind="stable")][:top].astype(np.int32)
