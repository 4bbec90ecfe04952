"""Plain text beside a task: the documents of a run's masked-LM steps, and their items."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from stilts.tokens.sequences import Batch
from stilts.tokens.store import TokenSplit
from stilts.train.plan import epochs_of, generator
from stilts.train.text import IGNORE, mask_tokens, sequence_of


def draw_documents(split: TokenSplit, languages: list[str], count: int, alpha: float, seed: int) -> np.ndarray:
    """Return the documents of `count` draws [count]: a language with probability ~ documents ** alpha, then its next
    document; no document of a language comes again before all of them came. Raises UserError for a language without
    text.
    """
    rng = generator(seed, "text")
    groups = [split.where(language) for language in languages]
    weight = np.asarray([len(g) for g in groups], float) ** alpha
    drawn = rng.choice(len(groups), size=count, p=weight / weight.sum())
    documents = np.zeros(count, np.int64)
    for g, group in enumerate(groups):
        places = np.flatnonzero(drawn == g)
        passes = epochs_of(len(group), len(group), -(-len(places) // len(group)), rng)
        order = np.concatenate([*passes, np.zeros(0, np.int64)]).astype(np.int64)
        documents[places] = group[order[: len(places)]]
    return documents


class TextItems:
    """Masked-LM items of a run: item k is the k-th document drawn, with a mask of its own.

    A document that is drawn twice gets two masks. Masks depend on seed and item alone, so that splitting a batch
    changes nothing. Not every item has a target (short documents).
    """

    choices, whole = 1, False

    def __init__(self, split: TokenSplit, documents: np.ndarray, max_length: int, share: float, seed: int):
        self.split, self.documents, self.max_length = split, documents, max_length
        self.share, self.seed = share, seed
        self.special = [split.cls, split.pad, split.sep, split.unk, split.mask]

    def __len__(self) -> int:
        return len(self.documents)

    @cached_property
    def lengths(self) -> np.ndarray:
        """Sub-words of each item with special tokens, [items]."""
        first, last = self.split.examples[self.documents], self.split.examples[self.documents + 1]
        size = self.split.segments[last] - self.split.segments[first]
        return np.minimum(size + 2 * (last - first), self.max_length)

    def batch(self, items: np.ndarray) -> Batch:
        """Return masked sequences; targets: the id at each masked place, IGNORE elsewhere."""
        ids, targets = [], []
        for item in items:
            plain = sequence_of(self.split, int(self.documents[item]), self.max_length)
            rng = generator(self.seed, f"mask:{item}")
            masked = mask_tokens(plain, self.special, self.split.vocabulary, self.split.mask, self.share, rng, 0)
            ids.append(masked[0])
            targets.append(masked[1])
        flat = np.concatenate(targets)
        lengths = np.asarray([len(s) for s in ids], np.int64)
        return Batch(np.concatenate(ids), lengths, {"targets": flat}, int((flat != IGNORE).sum()))
