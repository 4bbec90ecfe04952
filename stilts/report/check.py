"""Whether an experiment repeats published numbers: one verdict a language, with the tolerance said."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from stilts.metrics.table import Score
from stilts.report.grid import BASELINE
from stilts.tasks.published import ALL_LANGUAGES, Published

POINTS = 0.5  # percentage points
EXAMPLES = 2  # test examples; with few of them one alone is more than half a point
AGREE, DIFFER, NOTHING = "agree", "differ", "not compared"


class Verdict(NamedTuple):
    """One published value beside ours; all numbers but n in percent; None where there is no score."""

    backbone: str
    budget_point: str
    target: str
    protocol: str
    language: str
    metric: str
    n: int
    ours: float | None
    published: float
    tolerance: float
    verdict: str


def tolerance(n: int) -> float:
    """Return how far ours may be off, in points: half a point, or two test examples where that is more.

    Published values are rounded to a tenth, and nearly equal neighbours change places with the number format.
    """
    return max(POINTS, 100.0 * EXAMPLES / n) if n else POINTS


def check(published: Iterable[Published], scores: Sequence[Score]) -> list[Verdict]:
    """Return one verdict for each published value and each backbone and budget point with scores of its target.

    Ours is the mean over seeds without intermediate training. A mean over languages is compared only when every
    language that the same system published is there. What has no score is `not compared`.
    """
    published = list(published)
    ours: dict[tuple, list[Score]] = {}
    for s in scores:
        if s.recipe == BASELINE:
            ours.setdefault((s.backbone, s.budget_point, s.target, s.protocol, s.language, s.metric), []).append(s)
    verdicts = []
    for row in published:
        places = dict.fromkeys(k[:2] for k in ours if k[2] == row.target) or [("", "")]
        for place in places:
            if row.language != ALL_LANGUAGES:
                languages = [row.language]
            else:
                languages = [p.language for p in published if p[:3] == row[:3] and p.language != ALL_LANGUAGES]
            found = [ours.get((*place, row.target, row.protocol, k, row.metric), []) for k in languages]
            verdicts.append(_verdict(place, row, found))
    return verdicts


def _verdict(place: tuple[str, str], row: Published, found: list[list[Score]]) -> Verdict:
    head = (*place, row.target, row.protocol, row.language, row.metric)
    if not found or not all(found):
        return Verdict(*head, 0, None, row.value, POINTS, NOTHING)
    n = sum(scores[0].n for scores in found)
    means = [sum(s.value for s in scores) / len(scores) for scores in found]
    mean, allowed = sum(means) / len(means), tolerance(n)
    # A NaN is no agreement: every comparison with it is false.
    verdict = AGREE if abs(mean - row.value) <= allowed + 1e-9 else DIFFER
    return Verdict(*head, n, mean, row.value, allowed, verdict)


def lines(verdicts: Sequence[Verdict]) -> list[str]:
    """Return what is printed: one line a value, then a count for each target and protocol."""
    texts = []
    for v in verdicts:
        where = f"{v.target}@{v.protocol} {v.language:>3}"
        ours = "    –" if v.ours is None else f"{v.ours:5.1f}"
        texts.append(f"{where}  ours {ours}  published {v.published:5.1f}  (± {v.tolerance:.1f})  {v.verdict}")
    groups: dict[tuple[str, ...], list[Verdict]] = {}
    for v in verdicts:
        groups.setdefault((v.backbone, v.budget_point, v.target, v.protocol), []).append(v)
    for (backbone, point, target, protocol), group in groups.items():
        counts = [f"{sum(v.verdict == k for v in group)} {k}" for k in (AGREE, DIFFER, NOTHING)]
        place = f" ({backbone}, {point})" if backbone else ""
        texts.append(f"{target}@{protocol}{place}: {', '.join(counts)}")
    return texts or ["No number is published for the targets of this experiment."]
