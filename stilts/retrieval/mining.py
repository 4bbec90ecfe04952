"""Mining of translations from two corpora: ratio margin over nearest neighbours, then one-to-one pairs (BUCC).

Follows `mine_bitext` of XTREME's third_party/utils_retrieve.py (retrieval "max", margin "ratio", 4 neighbours).
Corpora are read block by block, so that they may lie in files.
"""

from __future__ import annotations

import numpy as np

NEIGHBOURS = 4
MEMORY = 128  # MB


def mine(
    queries: np.ndarray, index: np.ndarray, k: int = NEIGHBOURS, memory: int = MEMORY
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (query int32, row of `index` int32, score float64) of the mined pairs, best first.

    The score of a pair is its cosine over the mean of the two sides' mean cosine with their k neighbours. Each side
    proposes its best neighbour; proposals are taken greedily, so that no sentence is in two pairs. Pairs that score 0
    or less are left out, as in XTREME's script. Both sides must be free of repeated sentences. memory: MB for blocks
    of scores and of vectors, which are read as slices of rows.
    """
    from stilts.retrieval.neighbours import neighbours  # torch, which no other search needs

    (forward, ahead), (backward, behind) = neighbours(queries, index, k, memory)
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


class Rows:
    """Some rows of a matrix [rows, dim] that may lie in a file, read where they are asked for."""

    def __init__(self, matrix: np.ndarray, rows: np.ndarray):
        self.matrix, self.rows, self.shape = matrix, rows, (len(rows), matrix.shape[1])

    def __getitem__(self, part: slice) -> np.ndarray:
        return self.matrix[self.rows[part]]


def first_of(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return (rows of the first occurrence of each text int64 [unique], whether it occurs once bool [unique])."""
    first: dict[str, int] = {}
    count: dict[str, int] = {}
    for row, text in enumerate(texts):
        first.setdefault(text, row)
        count[text] = count.get(text, 0) + 1
    return np.asarray(list(first.values()), np.int64), np.asarray([count[t] == 1 for t in first], bool)
