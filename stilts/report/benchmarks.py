"""Tables beyond the grid itself: official means of benchmarks, best per target, and published numbers beside ours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from stilts.metrics.measure import metrics_of
from stilts.report.choice import BEST, Choices, Dev
from stilts.report.grid import ALL, BASELINE, ZERO_SHOT, Arm, ScoreGrid, Values, say_gaps
from stilts.report.tables import ARM, OVERALL, STATS, Table, number, stats
from stilts.tasks.benchmarks import BETWEEN, TOTAL
from stilts.tasks.spec import TaskSpec

Members = Sequence[dict[str, Any]]


def further_tables(grid: ScoreGrid, dev: Iterable[Dev], spec: dict[str, Any]) -> dict[str, Table]:
    """Return the tables of this module by file name (without `.csv`)."""
    choices = Choices(grid, dev)
    return {
        "benchmarks": benchmarks(grid, choices, spec),
        "best_per_target": best_per_target(grid, choices),
        "published": published(grid, choices, spec),
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
        for arm in grid.arms(choices.recipes(), _tasks(grid, benchmark["members"])):
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


def published(grid: ScoreGrid, choices: Choices, spec: dict[str, Any]) -> Table:
    """Return every published value of a target or a benchmark of the grid beside the score of each recipe, and of
    `best-per-target`, under its protocol.
    """
    columns = [
        *ARM, "recipe", "target", "protocol", "language", "metric",
        "ours", "system", "published", "difference", "certainty", "source", "missing",
    ]  # fmt: skip
    members = {b["benchmark"]: b["members"] for b in spec.get("benchmarks", [])}
    official = {m["task"]: m["languages"] for of in members.values() for m in of if m["languages"]}
    tasks = {t.task: t for t in grid.tasks}
    # Scores on dev data (BUCC) have a protocol of their own and stand in no other table.
    scored = {(s.target, s.protocol) for s in grid.scores}

    def beside(target: str, protocol: str, language: str, metric: str) -> Iterator[tuple[Arm, Values, str]]:
        if target in members:
            groups = _groups(members[target], protocol, apart=metric.endswith("groups"))
            here = [m for group in groups for m in group]
            for arm in grid.arms(choices.recipes(), _tasks(grid, here)):
                lost = _lost(grid, arm, here)
                means = [] if lost else [grid.over(_scores(grid, choices, arm, group)) for group in groups]
                yield arm, grid.over(means), lost
        elif target in tasks and (language == ALL or language in grid.languages(tasks[target])):
            task = tasks[target]
            languages = official.get(target, grid.languages(task)) if language == ALL else [language]
            for arm in grid.arms(choices.recipes(), [task]):
                known = protocol in grid.protocols(task, arm) or (target, protocol) in scored
                if known and metric in metrics_of(task.kind, protocol):
                    yield arm, choices.score(arm, task, languages, protocol, [metric]), ""

    rows = []
    for system, *place, value, certainty, source in spec.get("published", []):
        for arm, ours, lost in beside(*place):
            less = None if ours.mean is None else ours.mean - value
            numbers = [number(ours.mean), system, number(value), number(less), certainty, source]
            rows.append([*arm, *place, *numbers, lost or say_gaps(ours.gaps)])
    return columns, rows


def _groups(members: Members, scope: str, apart: bool) -> list[Members]:
    """Return the members of some groups, each group apart or all together."""
    names = dict.fromkeys(m["group"] for m in members) if scope == TOTAL else scope.split(BETWEEN)
    groups = [[m for m in members if m["group"] == name] for name in names]
    return groups if apart else [[m for group in groups for m in group]]


def _scopes(benchmark: dict[str, Any]) -> Iterator[tuple[str, Members]]:
    """Yield (group or total, members)."""
    members = benchmark["members"]
    for group in dict.fromkeys(m["group"] for m in members):
        yield group, _groups(members, group, apart=False)[0]
    yield TOTAL, members


def _tasks(grid: ScoreGrid, members: Members) -> list[TaskSpec]:
    names = {m["task"] for m in members}
    return [t for t in grid.tasks if t.task in names]


def _here(grid: ScoreGrid, arm: Arm, task: str) -> bool:
    return arm.budget_point in grid.points.get(task, [])


def _lost(grid: ScoreGrid, arm: Arm, members: Members) -> str:
    """Return which members have no score at all, in words."""
    known = {t.task for t in grid.tasks}
    absent = [m["task"] for m in members if m["task"] not in known]
    elsewhere = [m["task"] for m in members if m["task"] in known and not _here(grid, arm, m["task"])]
    lost = [f"not in this experiment: {', '.join(absent)}"] if absent else []
    lost += [f"not under this budget: {', '.join(elsewhere)}"] if elsewhere else []
    return "; ".join(lost)


def _chosen(grid: ScoreGrid, arm: Arm, members: Members) -> list[tuple[TaskSpec, Sequence[str]]]:
    """Return those members that have scores, with the languages of their mean."""
    tasks = {t.task: t for t in grid.tasks if _here(grid, arm, t.task)}
    here = [(tasks[m["task"]], m["languages"]) for m in members if m["task"] in tasks]
    return [(task, languages or grid.languages(task)) for task, languages in here]


def _scores(grid: ScoreGrid, choices: Choices, arm: Arm, members: Members) -> list[Values]:
    return [choices.score(arm, task, languages) for task, languages in _chosen(grid, arm, members)]


def _official(grid: ScoreGrid, choices: Choices, arm: Arm, members: Members) -> list[str]:
    return _row(grid, choices, arm, _chosen(grid, arm, members), _lost(grid, arm, members))


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
