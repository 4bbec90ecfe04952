"""A paired difference between two arms: its mean over seeds, and how exact it is.

The unit is the seed: one seed is the same data order and the same head initialisation in both arms. What else was drawn
at random is said by two settings: `examples` (other test examples could have been drawn) and `languages` (the claim is
meant for other languages too). A difference with a seed missing is not given: a mean over other seeds is another one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from stilts.budget.results import Table
from stilts.stats.crossed import Spread, spread

RANDOM, FIXED = "random", "fixed"
NOTHING = 1e-9  # points; what floating-point sums of equal scores may differ by


class Contrast(NamedTuple):
    """Mean difference over seeds, in points. spread: None where it cannot be known; drawn: what it allows for."""

    seeds: int
    first: float | None
    second: float | None
    difference: float | None
    spread: Spread | None
    drawn: str
    note: str


def contrast(
    pairs: Mapping[int, tuple[Table | None, Table | None]], languages: str = FIXED, examples: str = RANDOM
) -> Contrast:
    """Return first - second, paired by seed. pairs: seed -> the tables of both arms, None where one is missing."""
    lost = [str(seed) for seed, pair in pairs.items() if None in pair]
    if lost or not pairs:
        which = f"seed{'s' if len(lost) > 1 else ''} {', '.join(lost)} without a score" if lost else "no seed"
        return Contrast(len(pairs) - len(lost), None, None, None, None, "", which)
    first, second = (float(np.mean([pair[k].mean for pair in pairs.values()])) for k in (0, 1))
    table, drawn, notes = _differences(list(pairs.values()), languages, examples)
    found = spread(table, drawn) if len(pairs) > 1 else None
    if found is None:
        notes.append(_why_none(table, drawn))
    names = [("seeds", "languages", "examples")[a] for a in drawn]
    return Contrast(len(pairs), first, second, float(table.mean()), found, " ".join(names), "; ".join(notes))


def _differences(pairs: list[tuple[Table, Table]], languages: str, examples: str) -> tuple[np.ndarray, list[int], list]:
    """Return (differences: seeds x languages x blocks, axes that were drawn, what to note)."""
    notes = []
    scores = np.stack([a.scores - b.scores for a, b in pairs])[:, :, None]
    drawn = [0] + [1] * (languages == RANDOM)
    if examples == FIXED:
        return scores, drawn, notes
    if any(t.blocks is None for pair in pairs for t in pair):
        return scores, drawn, [*notes, "for these examples only: the metric has no score of a part of them"]
    blocks = np.stack([a.blocks - b.blocks for a, b in pairs])
    # F1 over a block is not the block's share of F1 over all: the blocks tell the spread, the whole tells the mean.
    return blocks + (scores - blocks.mean(axis=2, keepdims=True)), [*drawn, 2], notes


def _why_none(table: np.ndarray, drawn: list[int]) -> str:
    if table.shape[0] < 2:
        return "one seed: no interval"
    if any(table.shape[a] < 2 for a in drawn):
        return "one language: no interval over languages"
    return "no difference in any seed" if np.abs(table).max() < NOTHING else "the same difference in every seed"
