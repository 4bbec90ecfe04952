"""Each claim of the paper held against an experiment: reproduced, contradicted, undecided or not testable, and why.

`gain` is reproduced when the interval of the difference lies above 0, contradicted when it lies below the margin that
matters. `no gain` is reproduced when the difference is below the margin (one-sided), contradicted when its interval
lies above 0 and that is not so. A claim that needs every pair to gain is reproduced when each does (one-sided tests of
which all must reject need no adjustment), contradicted when one pair loses after Holm's adjustment. What is neither is
undecided: the interval is too wide to tell. Not testable here is what the experiment lacks recipes, targets or seeds
for. Verdicts go by the direction, never by the published figure.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from stilts.budget.claims import too_few
from stilts.budget.contrasts import FIXED, Contrast, contrast
from stilts.budget.curves import Rows, flat, number
from stilts.budget.results import BASELINE, Experiment, Key, Table, table_of
from stilts.stats.holm import holm
from stilts.tasks.arms import BEST
from stilts.tasks.claims import Claim

REPRODUCED, CONTRADICTED, UNDECIDED, OPEN = "reproduced", "contradicted", "undecided", "not testable here"
PAPER = (
    "id", "claim", "source", "certainty", "published", "verdict", "estimate", "low", "high", "unit", "seeds", "reason",
    "scope",
)  # fmt: skip
MINI = "the mini world alone: artificial languages and a tiny encoder; nothing follows for the paper's data"
REAL = "this experiment's data, encoder and settings"
PFLOP = 1e15
AXES = ("depth", "length", "precision")


class Verdict(NamedTuple):
    """What an experiment says of a claim. low, high: the interval at the experiment's alpha."""

    verdict: str
    reason: str
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    seeds: int = 0
    unit: str = "points"

    def each(self, cost: float, unit: str) -> Verdict:
        """Return the same of the difference for each `cost`."""
        less = [None if x is None else x / cost for x in (self.estimate, self.low, self.high)]
        return self._replace(estimate=less[0], low=less[1], high=less[2], unit=unit)


def paper_rows(experiment: Experiment, claims: Sequence[Claim], how: Mapping[str, Any], stand_in: bool) -> Rows:
    """Return paper.csv. how: the settings `budget`; stand_in: whether the data are the mini world's."""
    rows = []
    for claim in claims:
        found = verdict(experiment, claim, how)
        numbers = [number(x) for x in (found.estimate, found.low, found.high)]
        head = [claim.id, claim.says, claim.source, claim.certainty, number(claim.published), found.verdict]
        rows.append([*head, *numbers, found.unit, str(found.seeds or ""), found.reason, MINI if stand_in else REAL])
    return list(PAPER), rows


def verdict(experiment: Experiment, claim: Claim, how: Mapping[str, Any]) -> Verdict:
    """Return what an experiment says of a claim."""
    pairs = [p for p in claim.pairs if all(r in experiment.recipes or r == BEST for r in p)]
    pairs = pairs[:1] if claim.take == "first" else pairs
    if not pairs:
        absent = dict.fromkeys(r for p in claim.pairs for r in p if r not in experiment.recipes)
        return Verdict(OPEN, f"no recipe {', '.join(absent)} in this experiment")
    targets = {t: _point(experiment, t, claim.cut) for t in claim.targets if t in experiment.tasks}
    targets = {t: point for t, point in targets.items() if point}
    if not targets:
        here = [t for t in claim.targets if t in experiment.tasks]
        lost = f"no budget point cuts {claim.cut} alone" if here else f"no target {', '.join(claim.targets)}"
        return Verdict(OPEN, f"{lost} in this experiment")
    try:
        tables = [{s: _arms(experiment, p, targets, s, claim.average) for s in experiment.seeds} for p in pairs]
    except LookupError as error:
        return Verdict(OPEN, str(error.args[0]))
    if claim.take != "every":
        tables = [{s: tuple(flat([of[s][k] for of in tables]) for k in (0, 1)) for s in experiment.seeds}]
    found = [contrast(of, FIXED, how["examples"]) for of in tables]
    if unknown := [c.note for c in found if c.spread is None]:
        estimate = min(c.difference for c in found) if claim.take == "every" else found[0].difference
        return Verdict(OPEN, unknown[0], estimate, seeds=found[0].seeds)
    judged = _every(found, how["alpha"]) if claim.take == "every" else _one(found[0], claim.test, how)
    judged = judged._replace(reason=f"{judged.reason}; {_extent(claim, pairs, targets)}")
    if not claim.per:
        return judged
    cost = _training(experiment, pairs)
    if not cost:
        return Verdict(OPEN, "no training cost of these recipes is known here")
    return judged.each(cost / PFLOP, "points/PFLOP of intermediate training")


def _one(found: Contrast, test: str, how: Mapping[str, Any]) -> Verdict:
    alpha, margin = how["alpha"], how["margin"]
    low, high = found.spread.interval(found.difference, 1 - alpha)
    inner = found.spread.interval(found.difference, 1 - 2 * alpha)
    shown = (found.difference, low, high, found.seeds)
    if test == "no gain":
        if inner[1] < margin:
            also = f"and no loss of {margin:g} either" if inner[0] > -margin else "a loss is not ruled out"
            also = "it loses" if high < 0 else also
            return Verdict(REPRODUCED, f"no gain of {margin:g} or more, {also}", *shown)
        if low > 0:
            return Verdict(CONTRADICTED, "the interval lies above 0", *shown)
    elif low > 0:
        return Verdict(REPRODUCED, "the interval lies above 0", *shown)
    elif high < margin:
        loses = "the interval lies below 0" if high < 0 else f"no gain of {margin:g} or more"
        return Verdict(CONTRADICTED, loses, *shown)
    return Verdict(UNDECIDED, f"the interval is too wide to tell: {too_few(found, alpha)}", *shown)


def _every(found: Sequence[Contrast], alpha: float) -> Verdict:
    least = min(found, key=lambda c: c.difference)
    shown = (least.difference, *least.spread.interval(least.difference, 1 - alpha), least.seeds)
    if all(c.spread.interval(c.difference, 1 - 2 * alpha)[0] > 0 for c in found):
        return Verdict(REPRODUCED, "better than each, the nearest is shown", *shown)
    adjusted = holm([c.spread.p(c.difference) for c in found])
    if any(p < alpha and c.difference < 0 for p, c in zip(adjusted, found, strict=True)):
        return Verdict(CONTRADICTED, "worse than another, the best of them is shown", *shown)
    return Verdict(UNDECIDED, f"not told apart from the best other: {too_few(least, alpha)}", *shown)


def _training(experiment: Experiment, pairs: Sequence[tuple[str, str]]) -> float | None:
    """Return what the first of each pair takes more of intermediate training than the second, FLOPs; a mean."""
    backbone = next(iter(experiment.places.values()))[0][0]
    cost = {(BASELINE, s): 0.0 for s in experiment.seeds}
    cost |= {(r, s): flops for (b, r, s), flops in experiment.training.items() if b == backbone}
    try:
        mean = statistics.fmean(cost[a, s] - cost[b, s] for a, b in pairs for s in experiment.seeds)
    except KeyError:
        return None
    return mean if mean > 0 else None


def _extent(claim: Claim, pairs: Sequence[tuple[str, str]], targets: Mapping[str, tuple[str, str]]) -> str:
    """Say over how much of what the claim is about the estimate is taken."""
    wanted = 1 if claim.take == "first" else len(claim.pairs)
    parts = [f"{len(targets)} of {len(claim.targets)} targets", f"{len(pairs)} of {wanted} comparisons"]
    points = {point for _, point in targets.values()}
    return ", ".join([*parts, *([f"under {', '.join(sorted(points))}"] if claim.cut else [])])


def _point(experiment: Experiment, target: str, cut: str) -> tuple[str, str] | None:
    """Return (backbone, point): the target's first, or the one that differs from it in the axis `cut` alone.

    Of several the shallowest, the shortest, or the last precision named.
    """
    backbone, first = experiment.places[target][0]
    if not cut:
        return backbone, first
    axis, whole = AXES.index(cut), first.split("-")
    others = [p for b, p in experiment.places[target] if b == backbone and p != first]
    cuts = [
        p for p in others if [x for k, x in enumerate(p.split("-")) if k != axis] == whole[:axis] + whole[axis + 1 :]
    ]
    if cut == "precision":
        return (backbone, cuts[-1]) if cuts else None
    sizes = {p: int(p.split("-")[axis][1:]) for p in cuts if p.split("-")[axis][1:].isdigit()}
    return (backbone, min(sizes, key=sizes.get)) if sizes else None


def _arms(
    experiment: Experiment,
    pair: tuple[str, str],
    targets: Mapping[str, tuple[str, str]],
    seed: int,
    average: str,
) -> tuple[Table, Table]:
    """Return the mean over targets of both arms of a pair; raises LookupError with a line on the first gap."""
    arms = []
    for recipe in pair:
        tables = []
        for target, place in targets.items():
            taken = _best(experiment, place, target, seed) if recipe == BEST else recipe
            run = experiment.runs[Key(*place, taken, target, seed)]
            languages = experiment.languages(target, average)
            if any(x not in run.scores for x in languages):
                raise LookupError(f"{taken} > {target}, seed {seed}: {run.problem}")
            tables.append(table_of(run, languages))
        arms.append(flat(tables))
    return arms[0], arms[1]


def _best(experiment: Experiment, place: tuple[str, str], target: str, seed: int) -> str:
    """Return the recipe with the highest dev score of a seed; a target without any takes the mean of the others'."""
    judged = (
        [target] if experiment.judged_on_dev(target) else [t for t in experiment.tasks if experiment.judged_on_dev(t)]
    )
    means = {}
    for recipe in experiment.recipes:
        # A target without the point of this one is judged under its own first.
        points = {t: place if place in experiment.places[t] else experiment.places[t][0] for t in judged}
        scores = [experiment.runs[Key(*points[t], recipe, t, seed)].dev for t in judged]
        if not scores or None in scores:
            raise LookupError(f"no choice of a recipe for {target}, seed {seed}: a dev score is missing")
        means[recipe] = round(statistics.fmean(scores), 6)
    return max(means, key=means.get)
