"""Plain text for masked language modelling: documents as sequences, drawn by language, and their masks."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from stilts.errors import UserError
from stilts.tokens.sequences import Batch
from stilts.tokens.store import TokenSplit
from stilts.train.plan import epochs_of, generator

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

    choices = 1

    whole = False

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
    candidates = np.flatnonzero(~np.isin(ids, special))
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
