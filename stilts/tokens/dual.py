"""What a dual encoder reads: a query, a candidate followed by its context, and batches of right pairs."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from stilts.errors import UserError
from stilts.tokens.sequences import Batch
from stilts.tokens.store import TokenSplit


class DualItems:
    """The queries of one split, each with its right candidate.

    query_length, max_length: longest query and longest candidate in sub-words, special tokens included. examples:
    which queries take part, as places among the queries (None: all). A query without a right candidate is no item.
    A batch is never split: the other candidates of a batch are what a query's own is told from.

    A candidate and its context are one segment, as in XTREME's third_party/processors/lareqa.py; that one puts no
    blank between them, here each is tokenised by itself.
    """

    whole = True
    choices = 2  # sequences an item makes

    def __init__(self, split: TokenSplit, query_length: int, max_length: int, examples: np.ndarray | None = None):
        self.split, self.kind = split, split.kind
        self.query_length, self.max_length = query_length, max_length
        if min(query_length, max_length) < 16:
            raise UserError(
                f"query_length {query_length} or max_length {max_length} is too short: at least 16 sub-words"
            )
        queries = trained_queries(split)
        self.rows = queries if examples is None else queries[examples]

    def __len__(self) -> int:
        return len(self.rows)

    def sequence(self, example: int) -> np.ndarray:
        """Return the sub-words of a query or a candidate, cut, with special tokens."""
        s = self.split
        text = np.concatenate((s.segment(example, 0), s.segment(example, 1)))
        room = (self.query_length if s.side[example] == 0 else self.max_length) - 2
        return np.concatenate(([s.cls], text[:room], [s.sep]))

    @cached_property
    def lengths(self) -> np.ndarray:
        """Sub-words of the longer side of each item, [items]."""
        sides = (self.rows, self.split.gold[self.rows])
        return np.max([[len(self.sequence(int(e))) for e in side] for side in sides], axis=0)

    def sub_words(self) -> np.ndarray:
        """Return the ids that queries and candidates may hold, sorted."""
        return self.split.sub_words(np.concatenate([self.rows, self.split.gold[self.rows]]))

    def batch(self, items: np.ndarray) -> Batch:
        """Return the queries of a batch, then their candidates in the same order; count: queries."""
        rows = self.rows[items]
        flat = [self.sequence(int(e)) for e in (*rows, *self.split.gold[rows])]
        lengths = np.asarray([len(ids) for ids in flat], np.int64)
        return Batch(np.concatenate(flat).astype(np.int64), lengths, {}, len(rows))


def trained_queries(split: TokenSplit) -> np.ndarray:
    """Return the examples that are queries with a right candidate in their split."""
    return np.flatnonzero((split.side == 0) & (split.gold >= 0))


def judged_queries(split: TokenSplit, language: str) -> np.ndarray:
    """Return the trained queries of one language; raises UserError when there are none."""
    queries = np.intersect1d(split.where(language), trained_queries(split))
    if not len(queries):
        raise UserError(without_gold(split, f' in "{language}"'))
    return queries


def without_gold(split: TokenSplit, where: str = "") -> str:
    """Return what is wrong with a split whose queries all lack their candidates."""
    return (
        f"{split.folder}: no query of the {split.split} split{where} has its right candidate there; check that `gold` "
        "names ids of candidates"
    )
