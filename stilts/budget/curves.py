"""The score that a budget buys: for each recipe, target and seed a step function of the budget.

At a budget a run takes, among the configurations (backbone x budget point) that it can afford, the one with the highest
source-language dev score of its own seed; never a test score. A target without dev data (sentence retrieval) takes the
dearest configuration that it can afford, read at the headline layer that was fixed beforehand.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from stilts.budget.results import Experiment, Table, combined, over_languages, table_of
from stilts.budget.steps import Configuration, affords, choose, front, levels, step_at, weights
from stilts.metrics.measure import headline_protocol, metrics_of

Rows = tuple[list[str], list[list[str]]]
ZERO_SHOT = "zero-shot"
OVERALL = "overall"
WINDOW = "window"
CURVES = (
    "experiment", "recipe", "target", "seed", "cost", "budget", "backbone", "point",
    "dev", "language", "metric", "value", "n", "note",
)  # fmt: skip
AREAS = ("experiment", "recipe", "target", "seed", "cost", "low", "high", "area", "note")
PARETO = ("experiment", "recipe", "target", "backbone", "point", "cost", "budget", "score", "seeds", "on_front", "note")


class Step(NamedTuple):
    """What a run takes from some budget on. table: its scores, None where there are none; note: why, or empty."""

    budget: float
    taken: Configuration | None
    dev: float | None
    table: Table | None
    note: str


def steps(experiment: Experiment, recipe: str, target: str, seed: int) -> tuple[list[Step], str]:
    """Return the steps of a curve, budgets rising, and a line on the configurations that have no cost."""
    found, lost = experiment.configurations(target)
    languages = experiment.languages(target)
    dev = None
    if experiment.judged_on_dev(target):
        scores = {c: experiment.run(c, recipe, target, seed).dev for c in found}
        dev = {c: v for c, v in scores.items() if v is not None}
    made = []
    for budget in levels(found):
        try:
            taken = choose(found, budget, dev)
        except KeyError:
            names = [c.name for c in found if affords(budget, c.cost) and c not in dev]
            made.append(Step(budget, None, None, None, f"no choice: no dev score of {', '.join(names)}"))
            continue
        table, note = None, ""
        run = experiment.run(taken, recipe, target, seed)
        if any(x not in run.scores for x in languages):
            note = f"{taken.name}: {run.problem}"
        else:
            table = table_of(run, languages)
        made.append(Step(budget, taken, dev[taken] if dev else None, table, note))
    return made, "; ".join(lost)


def at(made: Sequence[Step], budget: float) -> tuple[Table | None, str]:
    """Return the scores that a budget buys, or None and why there are none."""
    place = step_at([s.budget for s in made], budget)
    if place is None:
        return None, "no configuration is affordable" if made else "no configuration has a cost"
    return made[place].table, made[place].note


def over_window(made: Sequence[Step], low: float, high: float) -> tuple[Table | None, str]:
    """Return the mean of the curve over the logarithm of the budget from low to high, or None and why there is none."""
    shares = weights([s.budget for s in made], low, high)
    if shares is None:
        return None, "the window begins where no configuration is affordable" if made else "no configuration has a cost"
    used = [(s, w) for s, w in zip(made, shares, strict=True) if w]
    if notes := list(dict.fromkeys(s.note for s, _ in used if s.table is None)):
        return None, "; ".join(notes)
    return combined([s.table for s, _ in used], [w for _, w in used]), ""


def bought(
    experiment: Experiment, recipe: str, target: str, seed: int, budget: float | tuple[float, float]
) -> tuple[Table | None, str]:
    """Return (table, note) of a run at a budget, or over a window (low, high)."""
    made, _ = steps(experiment, recipe, target, seed)
    return over_window(made, *budget) if isinstance(budget, tuple) else at(made, budget)


def curve_rows(experiment: Experiment) -> Rows:
    """Return curves.csv: one row a step x language, and their mean over the languages other than the source."""
    rows = []
    for recipe, target, seed in _runs(experiment):
        languages = experiment.languages(target)
        made, lost = steps(experiment, recipe, target, seed)
        head = [experiment.name, recipe, target, str(seed), experiment.axis]
        for step in made or [Step(0.0, None, None, None, "no configuration has a cost")]:
            note = "; ".join(filter(None, [step.note, lost, _rule(experiment, target, step)]))
            place = [
                number(step.budget) if made else "",
                *(step.taken[:2] if step.taken else ("", "")),
                number(step.dev),
            ]
            run = experiment.run(step.taken, recipe, target, seed) if step.taken else None
            values = {ZERO_SHOT: step.table.mean if step.table else None}
            values |= {x: run.scores.get(x) if run else None for x in experiment.languages(target, "all")}
            for language, value in values.items():
                names = languages if language == ZERO_SHOT else [language]
                n = sum(run.sizes.get(x, 0) for x in names) if run else 0
                metric = metric_of(experiment, target)
                rows.append([*head, *place, language, metric, number(value), str(n or ""), note])
    return list(CURVES), rows


def area_rows(experiment: Experiment, low: float, high: float) -> Rows:
    """Return areas.csv: the mean of each curve over the logarithm of the budget, from low to high."""
    rows = []
    for recipe in experiment.recipes:
        for seed in experiment.seeds:
            found = {t: bought(experiment, recipe, t, seed, (low, high)) for t in experiment.tasks}
            lost = [t for t, (table, _) in found.items() if table is None]
            areas = {t: (None if table is None else table.mean, note) for t, (table, note) in found.items()}
            mean = None if lost or not areas else statistics.fmean(v for v, _ in areas.values())
            areas[OVERALL] = mean, f"no area of {', '.join(lost)}" if lost else ""
            for target, (value, note) in areas.items():
                head = [experiment.name, recipe, target, str(seed), experiment.axis, number(low), number(high)]
                rows.append([*head, number(value), note])
    return list(AREAS), rows


def pareto_rows(experiment: Experiment) -> Rows:
    """Return pareto.csv: each configuration's cost and mean test score, and whether another gives as much for less.

    It says what would have been worth running, which only the test scores show: nothing is chosen by it.
    """
    rows = []
    for recipe in experiment.recipes:
        for target in experiment.tasks:
            found, lost = experiment.configurations(target)
            means = [_mean(experiment, c, recipe, target) for c in found]
            known = [(c.cost, m) for c, m in zip(found, means, strict=True) if m is not None]
            on = iter(front(known))
            for where, mean in zip(found, means, strict=True):
                note = "; ".join([*(["a seed lacks a score"] if mean is None else []), *lost])
                head = [experiment.name, recipe, target, where.backbone, where.point, experiment.axis]
                verdict = "" if mean is None else ("yes" if next(on) else "no")
                seeds = str(len(experiment.seeds))
                rows.append([*head, number(where.cost), number(mean), seeds, verdict, note])
    return list(PARETO), rows


def metric_of(experiment: Experiment, target: str) -> str:
    """Return the metric of a target's score: `f1+exact_match` is the mean of the two."""
    kind = experiment.tasks[target].kind
    return "+".join(metrics_of(kind, headline_protocol(kind, 0, "mean", experiment.tasks[target].variant)))


def flat(tables: Sequence[Table]) -> Table:
    """Return the mean over targets of their means over languages; block k is the mean of every target's block k."""
    rows = [over_languages(t) for t in tables]
    return combined(rows, [1 / len(rows)] * len(rows))


def number(value: float | None) -> str:
    """Return a number with six significant digits; None is empty."""
    return "" if value is None else f"{round(value, 9) + 0.0:.6g}"


def _runs(experiment: Experiment) -> Iterator[tuple[str, str, int]]:
    for recipe in experiment.recipes:
        for target in experiment.tasks:
            for seed in experiment.seeds:
                yield recipe, target, seed


def _mean(experiment: Experiment, where: Configuration, recipe: str, target: str) -> float | None:
    languages = experiment.languages(target)
    runs = [experiment.run(where, recipe, target, seed) for seed in experiment.seeds]
    if any(x not in run.scores for run in runs for x in languages):
        return None
    return statistics.fmean(table_of(run, languages).mean for run in runs)


def _rule(experiment: Experiment, target: str, step: Step) -> str:
    return "" if step.taken is None or experiment.judged_on_dev(target) else "no dev data: the dearest affordable"
