"""From token files to model input: what one item of a kind looks like, and batches of items.

An item is what training draws and prediction queues: an example, or a window of one (question answering over long
contexts, tagging of long sentences). A batch is flat, as `stilts.model.encoder` wants it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from stilts.errors import UserError
from stilts.tokens.store import TokenSplit

IGNORE = -100
MAX_QUESTION = 64  # sub-words of a question, as the SQuAD scripts cut it


@dataclass
class Batch:
    """Flat sequences: ids [N] int64, lengths [B] int64, and the targets of the kind by name; count: real targets."""

    ids: np.ndarray
    lengths: np.ndarray
    targets: dict[str, np.ndarray]
    count: int


class Items:
    """The items of one split under a maximal length. `whole`: whether a batch may not be computed in parts.

    examples: which examples take part, in this order (None: all). blind: only the second input is shown (the
    hypothesis, the choices, the context), a control. Every item is a row (example, first, last) of `rows`; first and
    last bound the window of the context (question answering) or of the words (tagging), in sub-words.
    """

    whole = False

    def __init__(
        self,
        split: TokenSplit,
        max_length: int,
        doc_stride: int,
        examples: np.ndarray | None = None,
        blind: bool = False,
    ):
        self.split, self.kind, self.blind = split, split.kind, blind
        self.max_length, self.doc_stride = max_length, doc_stride
        if max_length < 16:
            raise UserError(f"max_length {max_length} is too short for any task: give at least 16 sub-words")
        chosen = np.arange(len(split)) if examples is None else np.asarray(examples)
        self.rows = self._windows(chosen)

    def __len__(self) -> int:
        return len(self.rows)

    def _windows(self, examples: np.ndarray) -> np.ndarray:
        if self.kind not in ("span_extraction", "token_tagging"):
            return np.stack([examples, examples * 0, examples * 0], axis=1)
        cut = self._question_windows if self.kind == "span_extraction" else self._tag_windows
        rows = [(e, a, b) for e in examples for a, b in cut(int(e))]
        return np.asarray(rows, np.int64).reshape(-1, 3)

    def _question_windows(self, example: int) -> list[tuple[int, int]]:
        """Overlapping windows over the context; neighbours start `doc_stride` apart, as in XTREME's script."""
        length = len(self.split.segment(example, 1))
        room = self.max_length - 4 - self._question(example).size
        windows, start = [], 0
        while True:
            end = min(length, start + room)
            windows.append((start, end))
            if end == length:
                return windows
            start += min(room, self.doc_stride)

    def _tag_windows(self, example: int) -> list[tuple[int, int]]:
        """Pieces of a long sentence that break between words, as XTREME's preprocessing splits it.

        It reserves three special tokens for XLM-R, so 125 sub-words at length 128. A word longer than that makes a
        piece of its own and is cut (XTREME reads it as `<unk>` among its neighbours).
        """
        start, end = self.split.bounds(example, 0)
        room, length = self.max_length - 3, end - start
        if length <= room:
            return [(0, length)]
        firsts = np.flatnonzero(self.split.targets[start:end] != IGNORE)
        windows, begin = [], 0
        while length - begin > room:
            fits = firsts[(firsts > begin) & (firsts <= begin + room)]
            # One word longer than the window: its first sub-word carries the tag, the tail is left out.
            stop = int(fits[-1]) if len(fits) else int(min([f for f in firsts if f > begin], default=length))
            windows.append((begin, min(stop, begin + room)))
            begin = stop
        if begin < length:
            windows.append((begin, length))
        return windows

    def _question(self, example: int) -> np.ndarray:
        room = min(MAX_QUESTION, self.max_length // 2)
        return np.zeros(0, np.int32) if self.blind else self.split.segment(example, 0)[:room]

    @cached_property
    def lengths(self) -> np.ndarray:
        """Sub-words of each item with special tokens (multiple choice: of its longest choice), [items]."""
        s = self.split
        sizes = np.diff(s.segments)
        at = s.examples[self.rows[:, 0]]
        if self.kind == "token_tagging":
            return self.rows[:, 2] - self.rows[:, 1] + 2
        if self.kind == "span_extraction":
            return (
                np.asarray([self._question(int(e)).size for e in self.rows[:, 0]], np.int64)
                + self.rows[:, 2]
                - self.rows[:, 1]
                + 4
            )
        first = sizes[at] * (0 if self.blind else 1)
        second = sizes[at + 1]
        for k in range(2, self.choices + 1):
            second = np.maximum(second, sizes[at + k])
        return np.minimum(first + second + 4, self.max_length)

    @cached_property
    def choices(self) -> int:
        """Sequences an item makes, side by side."""
        if self.kind != "multiple_choice":
            return 1
        counts = np.diff(self.split.examples)[self.rows[:, 0]] - 1
        if len(counts) and counts.min() != counts.max():
            raise UserError(
                f"{self.split.folder}: the number of choices differs between examples "
                f"({counts.min()} to {counts.max()})"
            )
        return int(counts[0]) if len(counts) else 1

    def sub_words(self) -> np.ndarray:
        """Return the ids that the items may hold, sorted."""
        return self.split.sub_words(self.rows[:, 0])

    def sequences(self, item: int) -> list[np.ndarray]:
        """Return the ids of the sequences of one item, with special tokens."""
        s = self.split
        example, first, last = (int(x) for x in self.rows[item])
        if self.kind == "token_tagging":
            return [self._single(s.segment(example, 0)[first:last])]
        if self.kind == "span_extraction":
            return [self._pair(self._question(example), s.segment(example, 1)[first:last])]
        a = np.zeros(0, np.int32) if self.blind else s.segment(example, 0)
        return [
            self._pair(*cut_pair(a, s.segment(example, k), self.max_length - 4)) for k in range(1, self.choices + 1)
        ]

    def _single(self, ids: np.ndarray) -> np.ndarray:
        return np.concatenate(([self.split.cls], ids, [self.split.sep]))

    def _pair(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        s = self.split
        return np.concatenate(([s.cls], a, [s.sep, s.sep], b, [s.sep]))

    def batch(self, items: np.ndarray) -> Batch:
        """Return a batch of items with the targets of their kind."""
        groups = [self.sequences(int(i)) for i in items]
        flat = [ids for group in groups for ids in group]
        targets, count = TARGETS[self.kind](self, items, flat)
        lengths = np.asarray([len(ids) for ids in flat], np.int64)
        return Batch(np.concatenate(flat).astype(np.int64), lengths, targets, count)

    def labels(self, items: np.ndarray, flat: list[np.ndarray]) -> tuple[dict, int]:
        """Gold label of each item."""
        return {"labels": self.split.labels[self.rows[items, 0]].astype(np.int64)}, len(items)

    def tags(self, items: np.ndarray, flat: list[np.ndarray]) -> tuple[dict, int]:
        """Gold tag at the first sub-word of each word, IGNORE elsewhere."""
        parts = []
        for example, first, last in self.rows[items]:
            start = self.split.bounds(int(example), 0)[0]
            parts.append(np.concatenate(([IGNORE], self.split.targets[start + first : start + last], [IGNORE])))
        targets = np.concatenate(parts).astype(np.int64)
        return {"targets": targets}, int((targets != IGNORE).sum())

    def spans(self, items: np.ndarray, flat: list[np.ndarray]) -> tuple[dict, int]:
        """Gold span inside each window (0, 0 at `<s>` where the window does not hold it), and where spans may lie."""
        spans = np.zeros((len(items), 2), np.int64)
        allowed = []
        for i, (example, first, last) in enumerate(self.rows[items]):
            offset = self._question(int(example)).size + 3
            start, end = self.split.answers[example]
            if first <= start and end < last and start >= 0:
                spans[i] = (start - first + offset, end - first + offset)
            mask = np.zeros(len(flat[i]), bool)
            mask[0] = True
            mask[offset:-1] = True
            allowed.append(mask)
        return {"spans": spans, "allowed": np.concatenate(allowed)}, len(items)


TARGETS = {
    "pair_classification": Items.labels,
    "multiple_choice": Items.labels,
    "token_tagging": Items.tags,
    "span_extraction": Items.spans,
}


def cut_pair(a: np.ndarray, b: np.ndarray, room: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut the longer of two segments until both fit into `room` sub-words."""
    if a.size + b.size > room:
        short = min(a.size, b.size, room // 2)
        a, b = (a[:short], b[: room - short]) if a.size <= b.size else (a[: room - short], b[:short])
    return a, b


def token_budget_batches(lengths: np.ndarray, budget: int, choices: int = 1) -> list[np.ndarray]:
    """Split items into batches of similar length whose padded size stays within `budget` tokens.

    lengths: [items]; choices: sequences an item makes. Longest first, so that a batch that does not fit in memory
    fails at once. An item longer than the budget makes a batch of its own.
    """
    order = np.argsort(-lengths, kind="stable")
    batches, start = [], 0
    while start < len(order):
        size = max(1, budget // int(lengths[order[start]] * choices))
        batches.append(order[start : start + size])
        start += size
    return batches
