"""Mining of translations from two corpora: ratio margin over nearest neighbours, then one-to-one pairs (BUCC).

Follows `mine_bitext` of XTREME's third_party/utils_retrieve.py (retrieval "max", margin "ratio", 4 neighbours).
Corpora are read block by block, so that they may lie in files.
"""

from __future__ import annotations

import numpy as np

from stilts.retrieval.search import unit

NEIGHBOURS = 4
BLOCK = 4096  # rows of either side in one product; bounds memory at BLOCK ** 2 floats


def neighbours(
    queries: np.ndarray, index: np.ndarray, k: int = NEIGHBOURS, block: int = BLOCK
) -> tuple[np.ndarray, np.ndarray]:
    """Return (cosine float32 [n, k], row of `index` int32 [n, k]): the k nearest rows of `index`, nearest first.

    queries: float [n, dim]; index: float [m, dim]; k is at most m. Equal cosines go to the lower row
    (as far as rounding lets them be equal: mining leaves repeated sentences out beforehand).
    Raises ValueError for an empty index and for rows that are not finite.
    """
    if not len(index):
        raise ValueError("there is nothing to search in")
    k = min(k, len(index))
    cosine = np.zeros((len(queries), k), np.float32)
    found = np.zeros((len(queries), k), np.int32)
    for row in range(0, len(queries), block):
        rows = slice(row, row + block)
        left = unit(queries[rows])
        best = np.full((len(left), 0), 0, np.float32)
        place = np.full((len(left), 0), 0, np.int32)
        for column in range(0, len(index), block):
            right = unit(index[column : column + block])
            scores = np.concatenate([best, left @ right.T], axis=1)
            numbers = np.arange(column, column + len(right), dtype=np.int32)
            numbers = np.concatenate([place, np.broadcast_to(numbers, (len(left), len(right)))], axis=1)
            best, place = _largest(scores, numbers, k)
        cosine[rows], found[rows] = best, place
    return cosine, found


def _largest(scores: np.ndarray, numbers: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the k largest scores of each row and their numbers; columns come in the order that ties are broken by."""
    row = np.arange(len(scores))
    best, place = [], []
    for _ in range(min(k, scores.shape[1])):
        at = scores.argmax(axis=1)
        best.append(scores[row, at])
        place.append(numbers[row, at])
        scores[row, at] = -np.inf
    return np.stack(best, axis=1), np.stack(place, axis=1)


def mine(
    queries: np.ndarray, index: np.ndarray, k: int = NEIGHBOURS, block: int = BLOCK
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (query int32, row of `index` int32, score float64) of the mined pairs, best first.

    The score of a pair is its cosine over the mean of the two sides' mean cosine with their k neighbours. Each side
    proposes its best neighbour; proposals are taken greedily, so that no sentence is in two pairs. Pairs that score 0
    or less are left out, as in XTREME's script. Both sides must be free of repeated sentences.
    """
    forward, ahead = neighbours(queries, index, k, block)
    backward, behind = neighbours(index, queries, k, block)
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
