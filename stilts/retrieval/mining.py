"""Mining of translations from two corpora: ratio margin over nearest neighbours, then one-to-one pairs (BUCC).

Follows `mine_bitext` of XTREME's third_party/utils_retrieve.py (retrieval "max", margin "ratio", 4 neighbours).
Corpora are read block by block, so that they may lie in files.
"""

from __future__ import annotations

import numpy as np

from stilts.retrieval.search import unit

NEIGHBOURS = 4
BLOCK = 4096  # rows of either side in one product; bounds memory at BLOCK ** 2 floats
GROUP = 64  # scores of which only the largest is looked at first

Found = tuple[np.ndarray, np.ndarray]


def neighbours(queries: np.ndarray, index: np.ndarray, k: int = NEIGHBOURS, block: int = BLOCK) -> tuple[Found, Found]:
    """Return (cosine float32 [n, k], row of the other side int32 [n, k]) of the queries, and the same of the index:
    the k nearest rows, nearest first; every product is computed once and serves both sides.

    queries: float [n, dim]; index: float [m, dim]; k is at most the other side's rows. Equal cosines go to the lower
    row (as far as rounding lets them be equal: mining leaves repeated sentences out beforehand).
    Raises ValueError for an empty side and for rows that are not finite.
    """
    if not len(index) or not len(queries):
        raise ValueError("there is nothing to search in")
    ahead, behind = _nothing(len(queries), min(k, len(index))), _nothing(len(index), min(k, len(queries)))
    for row in range(0, len(queries), block):
        left = unit(queries[row : row + block])
        for column in range(0, len(index), block):
            right = unit(index[column : column + block])
            scores = left @ right.T
            _merge(ahead, row, column, scores)
            _merge(behind, column, row, scores.T)
    return ahead, behind


def _nothing(rows: int, k: int) -> Found:
    return np.full((rows, k), -np.inf, np.float32), np.zeros((rows, k), np.int32)


def _merge(best: Found, row: int, column: int, scores: np.ndarray) -> None:
    """Let a block of scores, whose first is (row, column), compete with the best so far, from lower columns."""
    cosine, place = (part[row : row + len(scores)] for part in best)
    value, at = largest(scores, cosine.shape[1])
    values = np.concatenate([cosine, value], axis=1)
    places = np.concatenate([place, at.astype(np.int32) + np.int32(column)], axis=1)
    order = np.argsort(-values, axis=1, kind="stable")[:, : cosine.shape[1]]
    cosine[:], place[:] = np.take_along_axis(values, order, axis=1), np.take_along_axis(places, order, axis=1)


def largest(scores: np.ndarray, k: int, group: int = GROUP) -> Found:
    """Return the k largest scores of each row and their columns, largest first, equal ones by their column.

    Each of them lies in one of the k groups of columns with the largest maxima: only these are looked through.
    """
    rows, columns = scores.shape
    whole = columns // group
    if whole <= k:
        return _ordered(scores, np.broadcast_to(np.arange(columns), scores.shape), k)
    tops = np.empty((rows, -(-columns // group)), np.float32)
    inside = scores[:, : whole * group]
    # Of a transposed block, a group is `group` long rows of memory.
    tops[:, :whole] = (
        inside.reshape(rows, whole, group).max(axis=2)
        if scores.flags.c_contiguous
        else inside.T.reshape(whole, group, rows).max(axis=1).T
    )
    if whole < tops.shape[1]:
        tops[:, whole] = scores[:, whole * group :].max(axis=1)
    chosen = np.sort(np.argsort(-tops, axis=1, kind="stable")[:, :k], axis=1)
    at = (chosen[:, :, None] * group + np.arange(group)).reshape(rows, k * group)
    values = scores[np.arange(rows)[:, None], np.minimum(at, columns - 1)]
    values[at >= columns] = -np.inf
    return _ordered(values, at, k)


def _ordered(values: np.ndarray, at: np.ndarray, k: int) -> Found:
    """Return the k largest values of each row and what stands in `at` for them; equal ones in their order."""
    row, values = np.arange(len(values)), np.array(values)
    found = []
    for _ in range(min(k, values.shape[1])):
        place = values.argmax(axis=1)
        found.append((values[row, place], at[row, place]))
        values[row, place] = -np.inf
    return np.stack([v for v, _ in found], axis=1), np.stack([p for _, p in found], axis=1)


def mine(
    queries: np.ndarray, index: np.ndarray, k: int = NEIGHBOURS, block: int = BLOCK
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (query int32, row of `index` int32, score float64) of the mined pairs, best first.

    The score of a pair is its cosine over the mean of the two sides' mean cosine with their k neighbours. Each side
    proposes its best neighbour; proposals are taken greedily, so that no sentence is in two pairs. Pairs that score 0
    or less are left out, as in XTREME's script. Both sides must be free of repeated sentences.
    """
    (forward, ahead), (backward, behind) = neighbours(queries, index, k, block)
    mean_query, mean_index = forward.mean(axis=1, dtype=np.float64), backward.mean(axis=1, dtype=np.float64)
    here = _margin(forward, mean_query, mean_index[ahead])
    there = _margin(backward, mean_index, mean_query[behind])
    best, choice = here.argmax(axis=1), there.argmax(axis=1)
    one, other = np.arange(len(here)), np.arange(len(there))
    pairs = np.concatenate(
        [np.stack([one, ahead[one, best]], axis=1), np.stack([behind[other, choice], other], axis=1)]
    )
    scores = np.concatenate([here[one, best], there[other, choice]])
    return _one_to_one(pairs, scores)


def _margin(cosine: np.ndarray, mine_: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = cosine / ((mine_[:, None] + theirs) / 2)
    return np.where(np.isfinite(ratio), ratio, 0.0)


def _one_to_one(pairs: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    order = np.argsort(-scores, kind="stable")
    left, right, kept = set(), set(), []
    for at in order:
        one, other = pairs[at].tolist()
        if scores[at] <= 0:
            break
        if one not in left and other not in right:
            left.add(one)
            right.add(other)
            kept.append(at)
    chosen = np.asarray(kept, np.int64)
    return pairs[chosen, 0].astype(np.int32), pairs[chosen, 1].astype(np.int32), scores[chosen]


def first_of(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return (rows of the first occurrence of each text int64 [unique], whether it occurs once bool [unique])."""
    first: dict[str, int] = {}
    count: dict[str, int] = {}
    for row, text in enumerate(texts):
        first.setdefault(text, row)
        count[text] = count.get(text, 0) + 1
    return np.asarray(list(first.values()), np.int64), np.asarray([count[t] == 1 for t in first], bool)
