"""All kept runs and current results in one list: the mean over targets of every recipe, the best one named."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stilts.compare.runs import RUNS, SCORES, all_runs
from stilts.compare.states import State, of_folder, of_run
from stilts.errors import UserError
from stilts.report.grid import ALL, Arm, ScoreGrid

NUMERIC = ("mean", "seeds")


@dataclass(frozen=True)
class Entry:
    """One state. means: backbone, budget point and recipe -> mean over targets, over seeds; gaps: arms without one."""

    experiment: str
    run: str
    current: bool
    commit: str
    time: str
    targets: tuple[str, ...]
    seeds: int
    means: dict[Arm, float] = field(default_factory=dict)
    gaps: tuple[Arm, ...] = ()

    @property
    def best(self) -> Arm | None:
        """The arm with the highest mean, or None where no arm has one."""
        return max(self.means, key=self.means.__getitem__, default=None)

    @property
    def recipes(self) -> dict[str, float]:
        """Recipe -> mean, under the backbone and budget point of the best arm."""
        best = self.best
        return {arm.recipe: mean for arm, mean in self.means.items() if best and arm[:2] == best[:2]}


def leaderboard(results: Path) -> tuple[list[Entry], list[str]]:
    """Return the entries, best first, and what could not be read."""
    entries, faults = [], []
    kept = {}
    for run in all_runs(results, faults):
        try:
            kept[run.about["experiment"], run.about["scores"]] = of_run(run)
        except UserError as error:
            faults.append(str(error))
    current = set()
    for path in sorted(results.glob(f"*/{SCORES}")):
        if path.parent.name == RUNS:
            continue
        try:
            state = of_folder(path.parent)
        except UserError as error:
            faults.append(str(error))
            continue
        current.add((path.parent.name, state.digest))
        kept.setdefault((path.parent.name, state.digest), state)
    for (experiment, digest), state in kept.items():
        try:
            made = time.gmtime((results / experiment / SCORES).stat().st_mtime) if state.run is None else None
            date = time.strftime("%Y-%m-%dT%H:%M:%SZ", made) if made else state.run.about["time"]
            entries.append(_entry(experiment, state, (experiment, digest) in current, date))
        except UserError as error:
            faults.append(f"{state.label}: {error}")
    return sorted(entries, key=_order), faults


def _order(entry: Entry) -> tuple:
    """Best first; states without a mean last; of equals the newest first."""
    best = entry.best
    return (best is None, -entry.means[best] if best else 0.0, [-ord(c) for c in entry.time], entry.experiment)


def _entry(experiment: str, state: State, current: bool, date: str) -> Entry:
    if not state.grid:
        raise UserError("no tables beside the scores, so that its means are not known")
    grid = ScoreGrid(dict(state.grid), state.scores)
    means, gaps = _means(grid)
    run = state.run
    return Entry(
        experiment,
        run.label if run else "(not kept)",
        current,
        run.commit if run else "",
        date,
        tuple(t.task for t in grid.tasks),
        len(grid.seeds),
        means,
        tuple(gaps),
    )


def _means(grid: ScoreGrid) -> tuple[dict[Arm, float], list[Arm]]:
    """Return arm -> mean over targets, and the arms that lack scores, at the budget points with the most targets.

    A point that only some targets have gives another mean, which cannot be ranked beside it.
    """
    arms = grid.arms(grid.recipes, grid.tasks)
    members = {arm: grid.members(arm, grid.tasks, ALL) for arm in arms}
    most = max(map(len, members.values()), default=0)
    values = {arm: grid.over_targets(arm, tasks, ALL) for arm, tasks in members.items() if len(tasks) == most}
    return {a: v.mean for a, v in values.items() if v.whole}, [a for a, v in values.items() if not v.whole]


def by_targets(entries: Sequence[Entry]) -> dict[tuple[str, ...], list[Entry]]:
    """Return entries grouped by their targets: means over different targets cannot be ranked against each other."""
    groups: dict[tuple[str, ...], list[Entry]] = defaultdict(list)
    for entry in entries:
        groups[tuple(sorted(entry.targets))].append(entry)
    return dict(groups)


def as_rows(entries: Sequence[Entry]) -> tuple[list[str], list[list[str]]]:
    """Return (columns, rows) of a list of entries, as text; backbone and budget point only where they differ."""
    several = len({e.best[:2] for e in entries if e.best}) > 1
    columns = ["experiment", "run", *NUMERIC, "best recipe", *(["at"] if several else []), "date", "commit"]
    rows = []
    for e in entries:
        best = e.best
        others = sorted((-mean, recipe) for recipe, mean in e.recipes.items() if best and recipe != best.recipe)
        head = [e.experiment, e.run + (" (now)" if e.current else ""), f"{e.means[best]:.2f}" if best else ""]
        arm = [best.recipe, *([f"{best.backbone}, {best.budget_point}"] if several else [])] if best else ["(gaps)"]
        arm += [""] * (several and not best)
        said = ", ".join(f"{recipe} {-mean:.2f}" for mean, recipe in others)
        rows.append([*head, str(e.seeds), *arm, e.time[:10], e.commit, said])
    return [*columns, "other recipes"], rows


def as_data(entry: Entry) -> dict[str, Any]:
    """Return an entry as plain data, with the mean of every arm."""
    best = entry.best
    return {
        "experiment": entry.experiment,
        "run": entry.run,
        "current": entry.current,
        "commit": entry.commit,
        "time": entry.time,
        "targets": list(entry.targets),
        "seeds": entry.seeds,
        "best": {**best._asdict(), "mean": round(entry.means[best], 6)} if best else None,
        "means": [{**arm._asdict(), "mean": round(mean, 6)} for arm, mean in entry.means.items()],
        "missing": [arm._asdict() for arm in entry.gaps],
    }
