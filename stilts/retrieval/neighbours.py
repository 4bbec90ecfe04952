"""Exact nearest neighbours of two corpora by cosine, both ways from the same products, in bounded memory.

Of a block of scores, only those are looked at that may be among the k best of their row (or column): those above the
k-th best so far and not below the k-th largest maximum of a group of scores, which k scores are known to reach.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from stilts.model.linear import linear
from stilts.retrieval.search import unit

SHAPE = 8  # rows of a block for each of its columns: columns are read, and brought to length 1, again for all rows
GROUP = 64  # scores that have one maximum
BAND = 256  # rows or columns whose best are put in order at a time

Found = tuple[np.ndarray, np.ndarray]


def block_of(memory: int, dim: int) -> tuple[int, int]:
    """Return rows and columns of the largest block that `memory` MB hold, with its vectors and if all scores tie."""
    # Bytes: a score; a vector of a row, four copies of one of a column while its length is made 1; a tie of a band.
    square, line = 4 * SHAPE, 4 * dim * (SHAPE + 4) + 48 * BAND * SHAPE
    columns = (np.sqrt(line**2 + 4 * square * memory * 1e6) - line) / (2 * square)
    return SHAPE * max(1, int(columns)), max(1, int(columns))


def neighbours(queries: np.ndarray, index: np.ndarray, k: int, memory: int) -> tuple[Found, Found]:
    """Return (cosine float32 [n, k], row of the other side int32 [n, k]) of the queries, and the same of the index:
    the k nearest rows, nearest first; every product is computed once and serves both sides.

    queries: float [n, dim]; index: float [m, dim], of which slices of rows are read; k is at most the other side's
    rows. Equal cosines go to the lower row (as far as rounding lets them be equal: mining leaves repeated sentences
    out beforehand). memory: MB for everything beside the result. Raises ValueError for an empty side and for rows
    that are not finite.
    """
    (n, dim), (m, _) = queries.shape, index.shape
    if not n or not m:
        raise ValueError("there is nothing to search in")
    ahead, behind = _nothing(n, min(k, m)), _nothing(m, min(k, n))
    rows, columns = block_of(memory, dim)
    for row in range(0, n, rows):
        left = np.empty((min(rows, n - row), dim), np.float32)
        for part in range(0, len(left), columns):
            end = min(part + columns, len(left))
            left[part:end] = unit(queries[row + part : row + end])
        for column in range(0, m, columns):
            scores = _products(left, unit(index[column : column + columns]))
            _compete(_part(ahead, row, len(left)), scores, 1, column)
            _compete(_part(behind, column, scores.shape[1]), scores, 0, row)
    return ahead, behind


def _nothing(rows: int, k: int) -> Found:
    return np.full((rows, k), -np.inf, np.float32), np.zeros((rows, k), np.int32)


def _part(found: Found, first: int, count: int) -> Found:
    return found[0][first : first + count], found[1][first : first + count]


@torch.no_grad()
def _products(left: np.ndarray, right: np.ndarray) -> Tensor:
    return linear(torch.from_numpy(left), torch.from_numpy(right), None)


def _compete(best: Found, scores: Tensor, dim: int, first: int) -> None:
    """Let a block of scores compete with the best so far, which are of lower numbers.

    dim: along which scores are compared (1: the best of each row, 0: of each column); first: its first number.
    """
    least = _least(best[0], scores, dim)
    for start in range(0, len(least), BAND):
        band = scores.narrow(1 - dim, start, min(BAND, len(least) - start)).numpy()
        floor = least[start : start + BAND]
        found = np.divmod(np.flatnonzero(band >= (floor[:, None] if dim else floor)), band.shape[1])
        line, number = found if dim else _by_line(*found)
        if len(line):
            values = band[line, number] if dim else band[number, line]
            _merge(_part(best, start, len(floor)), line, values, number + first)


def _least(cosine: np.ndarray, scores: Tensor, dim: int) -> np.ndarray:
    """Return what a score must reach to be among the k best; an equal one of a lower number is better."""
    least, k = np.nextafter(cosine[:, -1], np.float32(np.inf)), cosine.shape[1]
    groups = scores.shape[dim] // GROUP
    if groups < k:
        return least
    maxima = scores.narrow(dim, 0, groups * GROUP).unflatten(dim, (groups, GROUP)).amax(dim + 1)
    return np.maximum(least, maxima.topk(k, dim).values.amin(dim).numpy())


def _by_line(number: np.ndarray, line: np.ndarray) -> Found:
    order = np.argsort(line, kind="stable")
    return line[order], number[order]


def _merge(best: Found, line: np.ndarray, values: np.ndarray, numbers: np.ndarray) -> None:
    """Put the k best of the best so far and of further values, which come in the order of lines and numbers."""
    k, count = best[0].shape[1], np.bincount(line, minlength=len(best[0]))
    place = k + np.arange(len(line)) - np.repeat(np.cumsum(count) - count, count)
    value, at = _nothing(len(count), k + count.max())
    value[:, :k], at[:, :k] = best
    value[line, place], at[line, place] = values, numbers
    order = np.argsort(-value, axis=1, kind="stable")[:, :k]
    for kept, all_ in zip(best, (value, at), strict=True):
        kept[:] = np.take_along_axis(all_, order, axis=1)
