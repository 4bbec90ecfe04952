"""The claim at each budget: how much a recipe's score differs from that of `none`, and whether that can be chance.

Both arms take what they can afford (stilts/budget/curves.py) and are paired by seed (stilts/budget/contrasts.py). The p
values are adjusted by Holm over recipes x targets x budgets; those of the mean over all targets, and of the areas under
the curves, are families of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from stilts.budget.contrasts import FIXED, Contrast, contrast
from stilts.budget.curves import OVERALL, WINDOW, Rows, bought, flat, number
from stilts.budget.results import BASELINE, Experiment, Table
from stilts.stats.holm import holm
from stilts.stats.power import WANTED, detectable, power

CLAIMS = (
    "experiment", "recipe", "target", "cost", "budget", "seeds", "none", "score", "difference", "low", "high",
    "p", "p_holm", "tests", "freedom", "detectable", "power", "drawn", "note",
)  # fmt: skip
Budget = float | tuple[float, float]
Pair = tuple[Table | None, Table | None]


class Row(NamedTuple):
    """One claim; budget: a number, or the two ends of the window that the curve is averaged over."""

    recipe: str
    target: str
    budget: Budget
    found: Contrast

    @property
    def family(self) -> tuple[bool, bool]:
        """Return what is adjusted together: all rows that stand side by side, those of other recipes too."""
        return self.target == OVERALL, isinstance(self.budget, tuple)


def budget_claims(experiment: Experiment, how: Mapping[str, Any]) -> list[Row]:
    """Return every claim: recipe x (target, or their mean) x (budget, or the window). how: the settings `budget`."""
    budgets: list[Budget] = [*map(float, how["budgets"]), tuple(map(float, how["window"]))]
    rows = []
    for recipe in [r for r in experiment.recipes if r != BASELINE and BASELINE in experiment.recipes]:
        for budget in budgets:
            pairs, notes = _pairs(experiment, recipe, budget)
            for target, of_target in pairs.items():
                found = _with(contrast(of_target, how["languages"], how["examples"]), notes[target])
                left_out = experiment.configurations(target)[1]
                note = "; ".join(filter(None, [found.note, *left_out]))
                rows.append(Row(recipe, target, budget, found._replace(note=note)))
            lost = [t for t, of in pairs.items() if any(None in pair for pair in of.values())]
            overall = {} if lost else _overall(experiment, pairs)
            found = _with(contrast(overall, FIXED, how["examples"]), [f"no score: {', '.join(lost)}"] if lost else [])
            rows.append(Row(recipe, OVERALL, budget, found))
    order = [*experiment.tasks, OVERALL]
    return sorted(rows, key=lambda r: (experiment.recipes.index(r.recipe), order.index(r.target)))


def claim_rows(experiment: Experiment, rows: Sequence[Row], how: Mapping[str, Any]) -> Rows:
    """Return claims.csv. how: the settings `budget`."""
    ps = [r.found.spread.p(r.found.difference) if r.found.spread else None for r in rows]
    adjusted: dict[int, float | None] = {}
    tests: dict[tuple, int] = {}
    for family in dict.fromkeys(r.family for r in rows):
        mine = [k for k, r in enumerate(rows) if r.family == family]
        adjusted |= dict(zip(mine, holm([ps[k] for k in mine]), strict=True))
        tests[family] = sum(ps[k] is not None for k in mine)
    texts = []
    for k, row in enumerate(rows):
        found, budget = row.found, row.budget
        shown = f"{WINDOW} {number(budget[0])}-{number(budget[1])}" if isinstance(budget, tuple) else number(budget)
        means = [number(x) for x in (found.second, found.first, found.difference)]
        head = [experiment.name, row.recipe, row.target, experiment.axis, shown, str(found.seeds), *means]
        p = [number(ps[k]), number(adjusted[k]), str(tests[row.family] if ps[k] is not None else "")]
        texts.append([*head, *_interval(found, how["alpha"]), *p, *_power(found, how), found.drawn, found.note])
    return list(CLAIMS), texts


def _pairs(
    experiment: Experiment, recipe: str, budget: Budget
) -> tuple[dict[str, dict[int, Pair]], dict[str, list[str]]]:
    """Return target -> seed -> tables of recipe and baseline, and target -> what is missing, in words."""
    pairs: dict[str, dict[int, Pair]] = {}
    notes: dict[str, list[str]] = {}
    for target in experiment.tasks:
        arms = {r: {s: bought(experiment, r, target, s, budget) for s in experiment.seeds} for r in (recipe, BASELINE)}
        pairs[target] = {s: (arms[recipe][s][0], arms[BASELINE][s][0]) for s in experiment.seeds}
        notes[target] = [note for of in arms.values() for _, note in of.values() if note]
    return pairs, notes


def _overall(experiment: Experiment, pairs: Mapping[str, Mapping[int, Pair]]) -> dict[int, Pair]:
    return {s: tuple(flat([of[s][k] for of in pairs.values()]) for k in (0, 1)) for s in experiment.seeds}


def _with(found: Contrast, notes: Sequence[str]) -> Contrast:
    """Return a contrast with notes in place of its own where it has no value: they say why."""
    return found._replace(note="; ".join(dict.fromkeys(notes))) if found.difference is None and notes else found


def _interval(found: Contrast, alpha: float) -> list[str]:
    ends = found.spread.interval(found.difference, 1 - alpha) if found.spread else (None, None)
    return [number(x) for x in ends]


def _power(found: Contrast, how: Mapping[str, Any]) -> list[str]:
    """Return degrees of freedom, the difference found four times in five, and the power for the one that matters."""
    if found.spread is None:
        return ["", "", ""]
    error, freedom = found.spread.widest(1 - how["alpha"])
    chance = power(how["margin"], error, freedom, how["alpha"])
    return [f"{freedom:.3g}", f"{detectable(error, freedom, how['alpha']):.3g}", f"{chance:.2g}"]


def too_few(found: Contrast, alpha: float) -> str:
    """Return what the seeds at hand can find, in words."""
    least = detectable(*found.spread.widest(1 - alpha), alpha)
    return f"with {found.seeds} seeds a difference of {least:.1f} points is found {WANTED:.0%} of the time"
