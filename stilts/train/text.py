"""Plain text for masked language modelling: documents as sequences, drawn by language, and their masks."""

from __future__ import annotations

import numpy as np

from stilts.errors import UserError
from stilts.tokens.store import TokenSplit
from stilts.train.plan import generator

IGNORE = -100


def sequence_of(split: TokenSplit, example: int, max_length: int) -> np.ndarray:
    """Return a document's ids, `<s> a </s></s> b </s>`, cut to the maximal length."""
    ids = [split.cls]
    for k in range(split.segments_of(example)):
        ids += [*([split.sep] if k else []), *split.segment(example, k), split.sep]
    if len(ids) > max_length:
        ids = [*ids[: max_length - 1], split.sep]
    return np.asarray(ids, np.int64)


class TextStream:
    """An endless, seeded stream of documents as sequences, batched by real tokens.

    Languages are drawn with probability ~ share ** alpha (XLM-R's sampling); alpha 1 passes over the text as it is.
    """

    def __init__(self, split: TokenSplit, seed: int, max_length: int, alpha: float):
        if len(split) == 0:
            raise UserError(f"{split.folder}: there is no text to pretrain on")
        self.split, self.max_length = split, max_length
        self.rng = generator(seed, "text")
        count = np.bincount(split.language, minlength=len(split.languages))
        self.groups = (
            [np.arange(len(split))]
            if alpha == 1.0
            else [split.where(k) for k, n in zip(split.languages, count, strict=True) if n]
        )
        weight = np.asarray([len(g) for g in self.groups], float) ** alpha
        self.weight = weight / weight.sum()
        self.queues: list[np.ndarray] = [np.zeros(0, np.int64) for _ in self.groups]

    def sequence(self) -> np.ndarray:
        """Return the next document with special tokens, cut to the maximal length."""
        g = 0 if len(self.groups) == 1 else int(self.rng.choice(len(self.groups), p=self.weight))
        if not len(self.queues[g]):
            self.queues[g] = self.rng.permutation(self.groups[g])
        example, self.queues[g] = int(self.queues[g][0]), self.queues[g][1:]
        return sequence_of(self.split, example, self.max_length)

    def batch(self, tokens: int) -> list[np.ndarray]:
        """Return sequences with about `tokens` real tokens in all, at least one."""
        sequences, size = [], 0
        while size < tokens:
            sequences.append(self.sequence())
            size += len(sequences[-1])
        return sequences


def mask_tokens(
    ids: np.ndarray,
    special: list[int],
    vocabulary: int,
    mask: int,
    share: float,
    rng: np.random.Generator,
    at_least: int = 1,
) -> tuple:
    """Return (input ids, targets): `share` of the ordinary tokens are targets; 80 % masked, 10 % random, 10 % kept.

    at_least: 1 makes the first ordinary token a target where chance chose none (one long text); 0 leaves it so.
    """
    ordinary = np.ones(vocabulary, bool)
    ordinary[special] = False
    candidates = np.flatnonzero(ordinary[ids])
    chosen = candidates[rng.random(len(candidates)) < share]
    if at_least and not len(chosen) and len(candidates):
        chosen = candidates[:1]
    targets = np.full(len(ids), IGNORE, np.int64)
    targets[chosen] = ids[chosen]
    draw = rng.random(len(chosen))
    changed = ids.copy()
    changed[chosen[draw < 0.8]] = mask
    swap = chosen[(draw >= 0.8) & (draw < 0.9)]
    changed[swap] = rng.integers(4, vocabulary - 1, len(swap))
    return changed, targets
