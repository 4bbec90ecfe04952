"""Measures of ranked candidates and of mined pairs, as XTREME and XTREME-R define them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from stilts.metrics.measure import Measure

TOP = 20  # candidates that XTREME-R's two ranking metrics look at


def ranks_of(scores: np.ndarray, gold: Sequence[int]) -> list[int]:
    """Return the rank (from 1) of each gold candidate among `scores` [candidates]; equal scores rank by their place."""
    found = []
    for candidate in gold:
        above = np.count_nonzero(scores > scores[candidate])
        found.append(1 + int(above) + int(np.count_nonzero(scores[:candidate] == scores[candidate])))
    return found


def average_precision(ranks: Iterable[int], relevant: int, top: int = 0) -> float:
    """Return the average precision of one query (0 to 1).

    ranks: those of its right candidates, from 1; relevant: how many right candidates there are (one that was not
    among the candidates counts, and is never found); top: ranks looked at, 0 for all. The divisor is the number of
    right candidates, or `top` where there are more (utils_lareqa.py, `average_precision_at_k`).
    """
    kept = sorted(rank for rank in ranks if not top or rank <= top)
    return sum(hits / rank for hits, rank in enumerate(kept, 1)) / (min(relevant, top) if top else relevant)


def mean_average_precision(queries: Sequence[tuple[Sequence[int], int]], top: int = 0) -> Measure:
    """Return mean average precision in percent over queries (ranks, relevant)."""
    values = [average_precision(ranks, relevant, top) for ranks, relevant in queries]
    return Measure("map", 100.0 * float(np.mean(values)), len(values))


def mean_reciprocal_rank(ranks: Sequence[int | None], top: int = TOP) -> Measure:
    """Return mean reciprocal rank in percent; a right candidate below `top`, or None, counts 0 (utils_mewslix.py)."""
    values = [1.0 / rank if rank and rank <= top else 0.0 for rank in ranks]
    return Measure("mrr", 100.0 * float(np.mean(values)), len(values))


def best_threshold(scores: Sequence[float], right: Sequence[bool], relevant: int) -> float:
    """Return the threshold that maximises F1 of the pairs scoring at least that (BUCC's rule).

    It lies halfway between the last pair kept and the next one, at the last one's score when all are kept; of equally
    good ones it is the highest. Pairs of one score are kept or left together. Where nothing is right it is 0, which
    keeps every pair, as in `bucc_optimize` of XTREME's utils_retrieve.py.
    """
    order = np.argsort(-np.asarray(scores, float), kind="stable")
    ordered, hits = np.asarray(scores, float)[order], np.cumsum(np.asarray(right, bool)[order])
    best, threshold = 0.0, 0.0
    for k in range(len(ordered)):
        last = k + 1 == len(ordered)
        if not last and ordered[k] == ordered[k + 1]:
            continue
        f1 = 2.0 * hits[k] / (k + 1 + relevant)
        if f1 > best:
            best, threshold = f1, float(ordered[k] if last else (ordered[k] + ordered[k + 1]) / 2)
    return threshold


def pair_f1(extracted: int, right: int, relevant: int) -> list[Measure]:
    """Return F1, precision and recall in percent of extracted pairs; n is the number of gold pairs."""
    precision, recall = (right / n if n else 0.0 for n in (extracted, relevant))
    f1 = 2 * precision * recall / (precision + recall) if right else 0.0
    named = {"f1": f1, "precision": precision, "recall": recall}
    return [Measure(name, 100.0 * value, relevant) for name, value in named.items()]
