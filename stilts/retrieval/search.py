"""Exact nearest neighbours by cosine, block by block."""

from __future__ import annotations

import numpy as np


def unit(vectors: np.ndarray, centre: bool = False) -> np.ndarray:
    """Return float32 [n, dim] with rows of length 1 (rows of zeros stay zeros).

    centre: subtract the mean of the rows first; a diagnostic, not the field's protocol. Raises ValueError on
    anything but a matrix, and on NaN or infinite entries, naming the first row.
    """
    matrix = np.asarray(vectors, dtype=np.float32)
    if matrix.ndim != 2:
        raise ValueError(f"embeddings are a matrix [sentences, dim], not of shape {matrix.shape}")
    finite = np.isfinite(matrix).all(axis=1)
    if not finite.all():
        raise ValueError(f"row {int(np.argmin(finite))} is not finite")
    if centre:
        matrix = matrix - matrix.mean(axis=0, dtype=np.float64).astype(np.float32)
    # Scaling by the largest entry first keeps the squares of huge and tiny rows inside float32.
    matrix = matrix / np.maximum(np.abs(matrix).max(axis=1, keepdims=True, initial=0.0), np.finfo(np.float32).tiny)
    return matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), np.finfo(np.float32).tiny)


def nearest(
    queries: np.ndarray, index: np.ndarray, centre: bool = False, block: int = 2048
) -> tuple[np.ndarray, np.ndarray]:
    """Return (match int32 [n], cosine float32 [n]): the nearest row of `index` for every query.

    queries: float [n, dim]; index: float [m, dim], m >= 1. This is XTREME's `similarity_search`
    (L2 over unit vectors ranks like the cosine). Equal cosines go to the lowest row, and rows of the index that are
    identical count as the first of them, so that the answer does not hang on how the blocks fall.
    block: rows of either side in one product; bounds memory at block ** 2 floats. Raises ValueError like `unit`.
    """
    left, right = unit(queries, centre), unit(index, centre)
    if left.shape[1] != right.shape[1] or not len(right):
        raise ValueError(f"queries {left.shape} do not fit the index {right.shape}")
    first = _first_equal(right)
    match = np.zeros(len(left), dtype=np.int32)
    score = np.full(len(left), -np.inf, dtype=np.float32)
    for row in range(0, len(left), block):
        rows = slice(row, row + block)
        for column in range(0, len(right), block):
            cosines = left[rows] @ right[column : column + block].T
            best = cosines.argmax(axis=1)
            value = cosines[np.arange(len(best)), best]
            better = value > score[rows]
            match[rows] = np.where(better, best + column, match[rows])
            score[rows] = np.where(better, value, score[rows])
    return first[match], score


def _first_equal(matrix: np.ndarray) -> np.ndarray:
    """Return int32 [m]: for every row the number of the first row with the same bytes."""
    rows = np.ascontiguousarray(matrix + 0.0)  # + 0.0 turns -0.0 into 0.0
    _, first, inverse = np.unique(
        rows.view(np.dtype((np.void, rows.shape[1] * rows.itemsize))).ravel(), return_index=True, return_inverse=True
    )
    return first[inverse.ravel()].astype(np.int32)
