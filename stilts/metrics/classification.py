"""Accuracy of single choices (pair classification, multiple choice) and of top-1 retrieval."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from stilts.metrics.measure import Measure


def accuracy(predicted: Sequence[int], gold: Sequence[int]) -> Measure:
    """Return the share of equal entries in percent, as XTREME's `accuracy` (evaluate.py).

    predicted, gold: n class (or sentence) numbers. Raises ValueError when the lengths differ or n is 0.
    """
    if len(predicted) != len(gold) or not len(gold):
        raise ValueError(f"{len(predicted)} predictions for {len(gold)} gold labels")
    right = sum(int(p) == int(g) for p, g in zip(predicted, gold, strict=True))
    return Measure("accuracy", 100.0 * right / len(gold), len(gold))


def majority(gold: Sequence[int]) -> Measure:
    """Return the accuracy of always answering the commonest gold label: what blind guessing can reach."""
    if not len(gold):
        raise ValueError("no gold labels")
    return Measure("accuracy", 100.0 * Counter(int(g) for g in gold).most_common(1)[0][1] / len(gold), len(gold))
