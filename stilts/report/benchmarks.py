"""Tables beyond the grid itself: official means of benchmarks, best per target, and published numbers beside ours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from stilts.metrics.measure import metrics_of
from stilts.report.choice import BEST, Choices, Dev
from stilts.report.grid import ALL, BASELINE, ZERO_SHOT, Arm, ScoreGrid, Values, say_gaps
from stilts.report.tables import ARM, OVERALL, STATS, Table, number, stats
from stilts.tasks.spec import TaskSpec

TOTAL = "total"


def further_tables(grid: ScoreGrid, dev: Iterable[Dev], spec: dict[str, Any]) -> dict[str, Table]:
    """Return the tables of this module by file name (without `.csv`)."""
    choices = Choices(grid, dev)
    return {
        "benchmarks": benchmarks(grid, choices, spec),
        "best_per_target": best_per_target(grid, choices),
        "published": published(grid, spec),
    }


def benchmarks(grid: ScoreGrid, choices: Choices, spec: dict[str, Any]) -> Table:
    """Return the official means: one row a recipe x benchmark x group, and the total over all its tasks.

    A mean is the plain mean over tasks of the plain mean over the benchmark's languages, source language included;
    question answering counts as the mean of F1 and exact match. With a member, a language or a seed missing it is
    left out, and `missing` says what.
    """
    columns = [*ARM, "recipe", "benchmark", "scope", "tasks", *STATS]
    rows = []
    for benchmark in spec.get("benchmarks", []):
        for arm in grid.arms(choices.recipes(), _tasks(grid, benchmark)):
            if any(_here(grid, arm, m["task"]) for m in benchmark["members"]):
                for scope, members in _scopes(benchmark):
                    names = " ".join(m["task"] for m in members)
                    row = _official(grid, choices, arm, members)
                    rows.append([*arm, benchmark["benchmark"], scope, names, *row])
    return columns, rows


def best_per_target(grid: ScoreGrid, choices: Choices) -> Table:
    """Return, for each target, the recipe chosen on dev data, its test score, and the dev means it was chosen by.

    The last rows are the means over all targets.
    """
    columns = [*ARM, "target", "recipe", "chosen_on", "average", *STATS, *(f"dev {r}" for r in grid.recipes)]
    rows = []
    for backbone, point, _ in grid.arms([BASELINE], grid.tasks) if choices else []:
        for average in (ALL, ZERO_SHOT):
            arm = Arm(backbone, point, BEST)
            members = grid.members(arm, grid.tasks, average)
            for task in members:
                choice = choices.of(backbone, point, task.task)
                dev = [number(choice.means.get(r)) for r in grid.recipes]
                head = [*arm[:2], task.task, choice.recipe or "", choice.chosen_on, average]
                rows.append([*head, *_row(grid, choices, arm, [(task, grid.languages(task, average))]), *dev])
            chosen = [(t, grid.languages(t, average)) for t in members]
            blank = [""] * len(grid.recipes)
            rows.append([*arm[:2], OVERALL, BEST, "", average, *_row(grid, choices, arm, chosen), *blank])
    return columns, rows


def published(grid: ScoreGrid, spec: dict[str, Any]) -> Table:
    """Return every published value of a target of the grid beside the score of each recipe under its protocol."""
    columns = [
        *ARM, "recipe", "target", "protocol", "language", "metric",
        "ours", "system", "published", "difference", "certainty", "source", "missing",
    ]  # fmt: skip
    official = {m["task"]: m["languages"] for b in spec.get("benchmarks", []) for m in b["members"] if m["languages"]}
    tasks = {t.task: t for t in grid.tasks}
    # Scores on dev data (BUCC) have a protocol of their own and stand in no other table.
    scored = {(s.target, s.protocol) for s in grid.scores}
    rows = []
    for system, target, protocol, language, metric, value, certainty, source in spec.get("published", []):
        task = tasks.get(target)
        if task is None or (language != ALL and language not in grid.languages(task)):
            continue
        languages = official.get(target, grid.languages(task)) if language == ALL else [language]
        for arm in grid.arms(grid.recipes, [task]):
            known = protocol in grid.protocols(task, arm) or (target, protocol) in scored
            if known and metric in metrics_of(task.kind, protocol):
                ours = grid.values(arm, task, protocol, languages, [metric])
                less = None if ours.mean is None else ours.mean - value
                numbers = [number(ours.mean), system, number(value), number(less), certainty, source]
                rows.append([*arm, target, protocol, language, metric, *numbers, say_gaps(ours.gaps)])
    return columns, rows


def _scopes(benchmark: dict[str, Any]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield (group or total, members)."""
    members = benchmark["members"]
    for group in dict.fromkeys(m["group"] for m in members):
        yield group, [m for m in members if m["group"] == group]
    yield TOTAL, members


def _tasks(grid: ScoreGrid, benchmark: dict[str, Any]) -> list[TaskSpec]:
    names = {m["task"] for m in benchmark["members"]}
    return [t for t in grid.tasks if t.task in names]


def _here(grid: ScoreGrid, arm: Arm, task: str) -> bool:
    return arm.budget_point in grid.points.get(task, [])


def _official(grid: ScoreGrid, choices: Choices, arm: Arm, members: Sequence[dict[str, Any]]) -> list[str]:
    tasks = {t.task: t for t in grid.tasks}
    absent = [m["task"] for m in members if m["task"] not in tasks]
    elsewhere = [m["task"] for m in members if m["task"] in tasks and not _here(grid, arm, m["task"])]
    here = [(tasks[m["task"]], m) for m in members if m["task"] not in (*absent, *elsewhere)]
    lost = [f"not in this experiment: {', '.join(absent)}"] if absent else []
    lost += [f"not under this budget: {', '.join(elsewhere)}"] if elsewhere else []
    chosen = [(task, m["languages"] or grid.languages(task)) for task, m in here]
    return _row(grid, choices, arm, chosen, "; ".join(lost))


def _row(
    grid: ScoreGrid, choices: Choices, arm: Arm, chosen: Sequence[tuple[TaskSpec, Sequence[str]]], lost: str = ""
) -> list[str]:
    """Return the columns STATS of a mean over targets; `lost`: why there is none, in words."""
    values, base = (
        grid.over([choices.score(a, t, languages) for t, languages in chosen])
        for a in (arm, arm._replace(recipe=BASELINE))
    )
    if not lost:
        return stats(grid, arm, values, base, with_target=True)
    gaps = say_gaps(values.gaps, with_target=True)
    return [*stats(grid, arm, Values(), Values())[:-1], "; ".join(filter(None, [lost, gaps]))]
