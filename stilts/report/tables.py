"""The tables of an experiment: each function returns (columns, rows). docs/results.md explains every column."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator

from stilts.metrics.measure import layer_of, metrics_of
from stilts.report.grid import ALL, AVERAGES, BASELINE, SOURCE, ZERO_SHOT, Arm, Gap, ScoreGrid, Values, say_gaps
from stilts.tasks.spec import TaskSpec

Table = tuple[list[str], list[list[str]]]
ARM = ["backbone", "budget_point"]
STATS = ["seeds", "mean", "sd", "difference", "difference_sd", "seeds_above", "missing"]
OVERALL = "overall"
MANY = 2.0  # standard errors that a margin over a control must exceed
TINY = 1e-9  # points; what floating-point sums of equal scores may differ by


def number(value: float | None) -> str:
    """Return a number with six significant digits, rounding noise below a millionth gone; None is empty."""
    return "" if value is None else f"{round(value, 6) + 0.0:.6g}"


def all_tables(grid: ScoreGrid, names: dict[str, str]) -> dict[str, Table]:
    """Return every table by file name (without `.csv`). names: language code -> name shown."""
    return {
        "target_x_recipe": target_x_recipe(grid),
        "targets": targets(grid),
        "seeds": seeds(grid),
        "overall": overall(grid),
        "languages": languages(grid, names),
        "controls": controls(grid),
        "retrieval_layers": retrieval_layers(grid),
        "missing": missing(grid),
    }


def targets(grid: ScoreGrid) -> Table:
    """One row a (recipe or control) x target x protocol x average, with the difference to `none`."""
    columns = [*ARM, "role", "recipe", "target", "group", "protocol", "headline", "average", "languages", *STATS]
    rows = []
    for arm, role, task, protocol in _places(grid):
        for average in AVERAGES:
            chosen = grid.languages(task, average)
            if chosen:
                values = grid.values(arm, task, protocol, chosen)
                base = grid.values(arm._replace(recipe=BASELINE), task, protocol, chosen)
                head = [
                    *arm[:2],
                    role,
                    arm.recipe,
                    task.task,
                    task.group,
                    protocol,
                    _yes(protocol == grid.headline(task)),
                ]
                rows.append([*head, average, str(len(chosen)), *stats(grid, arm, values, base)])
    return columns, rows


def seeds(grid: ScoreGrid) -> Table:
    """The values behind `targets`, seed by seed."""
    columns = [*ARM, "role", "recipe", "target", "protocol", "average", "seed", "value", "difference"]
    rows = []
    for arm, role, task, protocol in _places(grid):
        for average in AVERAGES:
            chosen = grid.languages(task, average)
            values = grid.values(arm, task, protocol, chosen)
            base = grid.values(arm._replace(recipe=BASELINE), task, protocol, chosen).by_seed
            paired = arm.recipe in grid.recipes and arm.recipe != BASELINE
            for seed, value in sorted(values.by_seed.items()):
                less = value - base[seed] if paired and seed in base else None
                head = [*arm[:2], role, arm.recipe, task.task, protocol, average, str(seed)]
                rows.append([*head, number(value), number(less)])
    return columns, rows


def overall(grid: ScoreGrid) -> Table:
    """Means over the targets of a group and over all targets, headline protocols only."""
    columns = [*ARM, "recipe", "scope", "average", "targets", *STATS]
    rows = []
    for arm in grid.arms(grid.recipes, grid.tasks):
        for scope, tasks in _scopes(grid):
            for average in (ALL, ZERO_SHOT):
                members = grid.members(arm, tasks, average)
                values = grid.over_targets(arm, members, average)
                base = grid.over_targets(arm._replace(recipe=BASELINE), members, average)
                listed = " ".join(t.task for t in members)
                if members:
                    rows.append([*arm, scope, average, listed, *stats(grid, arm, values, base, with_target=True)])
    return columns, rows


def languages(grid: ScoreGrid, names: dict[str, str]) -> Table:
    """One row a (recipe or control) x target x language x metric; retrieval at the headline layer only."""
    columns = [*ARM, "role", "recipe", "target", "protocol", "language", "name", "is_source", "metric", "n", *STATS]
    rows = []
    for arm, role, task, protocol in _places(grid):
        if task.swept and protocol != grid.headline(task):
            continue
        for language in grid.languages(task):
            for metric in metrics_of(task.kind, protocol):
                values = grid.values(arm, task, protocol, [language], [metric])
                base = grid.values(arm._replace(recipe=BASELINE), task, protocol, [language], [metric])
                head = [*arm[:2], role, arm.recipe, task.task, protocol, language, names.get(language, language)]
                rows.append(
                    [
                        *head,
                        _yes(language == grid.source),
                        metric,
                        str(grid.size(task, language)),
                        *stats(grid, arm, values, base),
                    ]
                )
    return columns, rows


def controls(grid: ScoreGrid) -> Table:
    """Each score of a recipe against each control: the margin, its noise, and whether the score counts."""
    columns = [
        *ARM, "recipe", "target", "protocol", "headline", "average", "score", "control", "control_score",
        "margin", "noise", "counts",
    ]  # fmt: skip
    rows = []
    for arm, _, task, protocol in _places(grid, controls=False):
        first = protocol == grid.headline(task)
        scopes = [(a, grid.languages(task, a)) for a in AVERAGES]
        scopes += [(x, [x]) for x in grid.languages(task)] if first else []
        rivals = {c: rival for c in grid.controls if (rival := grid.rival(arm, c, task))}
        for scope, chosen in scopes:
            if not chosen:
                continue
            values = grid.values(arm, task, protocol, chosen)
            head = [*arm, task.task, protocol, _yes(first), scope, number(values.mean)]
            for control, rival in rivals.items():
                other = grid.values(rival, task, protocol, chosen)
                rows.append([*head, control, number(other.mean), *_verdict(grid, task, chosen, values, other)])
            if not rivals:
                rows.append([*head, "", "", "", "", "unknown"])
    return columns, rows


def retrieval_layers(grid: ScoreGrid) -> Table:
    """Retrieval by hidden state: mean over the other languages, for recipes and controls."""
    columns = [*ARM, "role", "recipe", "target", "layer", "pooling", "headline", "languages", *STATS]
    rows = []
    for arm, role, task, protocol in _places(grid):
        if task.swept:
            chosen = grid.languages(task, ZERO_SHOT)
            layer, pooling = layer_of(protocol)
            values = grid.values(arm, task, protocol, chosen)
            base = grid.values(arm._replace(recipe=BASELINE), task, protocol, chosen)
            head = [*arm[:2], role, arm.recipe, task.task, str(layer), pooling, _yes(protocol == grid.headline(task))]
            rows.append([*head, str(len(chosen)), *stats(grid, arm, values, base)])
    return columns, rows


def missing(grid: ScoreGrid) -> Table:
    """Every cell that should hold a score and does not; a target without any score of a seed is one row."""
    columns = [*ARM, "recipe", "target", "seed", "protocol", "language", "metric", "problem"]
    gaps: dict[Gap, None] = {}
    for arm, _, task, protocol in _places(grid):
        gaps |= dict.fromkeys(grid.values(arm, task, protocol, grid.languages(task)).gaps)
    by_job: dict[tuple, list[Gap]] = {}
    for gap in gaps:
        by_job.setdefault((gap.arm, gap.target, gap.seed), []).append(gap)
    whole: dict[tuple, int] = {}
    for arm, _, task, protocol in _places(grid):
        cells = len(grid.languages(task)) * len(metrics_of(task.kind, protocol))
        whole[arm, task.task] = whole.get((arm, task.task), 0) + cells
    rows = []
    for (arm, target, seed), found in by_job.items():
        if len(found) == whole[arm, target]:
            rows.append([*arm, target, str(seed), ALL, ALL, ALL, "no score at all"])
        else:
            rows += [[*arm, target, str(seed), g.protocol, g.language, g.metric, g.problem] for g in found]
    return columns, rows


def target_x_recipe(grid: ScoreGrid) -> Table:
    """The wide table: a row a target (headline protocol), group and the whole; means, then differences to `none`."""
    others = [r for r in grid.recipes if r != BASELINE]
    columns = [*ARM, "target", "protocol", "average", *grid.recipes, *(f"{r} - {BASELINE}" for r in others)]
    rows = []
    for backbone, point, _ in grid.arms([BASELINE], grid.tasks):
        for average in AVERAGES:
            lines = [(t.task, grid.headline(t), [t]) for t in grid.tasks]
            if average != SOURCE:
                lines += [(scope, "", tasks) for scope, tasks in _scopes(grid)]
            for name, protocol, tasks in lines:
                members = grid.members(Arm(backbone, point, BASELINE), tasks, average)
                found = {r: grid.over_targets(Arm(backbone, point, r), members, average) for r in grid.recipes}
                base = found.get(BASELINE, Values())
                means = [number(v.mean) for v in found.values()]
                less = [number(found[r].minus(base).mean) for r in others]
                if members:
                    rows.append([backbone, point, name, protocol, average, *means, *less])
    return columns, rows


def _places(grid: ScoreGrid, controls: bool = True) -> Iterator[tuple[Arm, str, TaskSpec, str]]:
    """Yield (arm, role, task, protocol): recipes on every target, controls where they ran."""
    for task in grid.tasks:
        for role, recipes in (("recipe", grid.recipes), ("control", grid.controls if controls else [])):
            for arm in grid.arms(recipes, [task]):
                if role == "recipe" or grid.ran(arm, task):
                    for protocol in grid.protocols(task, arm):
                        yield arm, role, task, protocol


def _scopes(grid: ScoreGrid) -> list[tuple[str, list[TaskSpec]]]:
    groups = dict.fromkeys(t.group for t in grid.tasks)
    return [(g, [t for t in grid.tasks if t.group == g]) for g in groups] + [(OVERALL, grid.tasks)]


def stats(grid: ScoreGrid, arm: Arm, values: Values, base: Values, with_target: bool = False) -> list[str]:
    """Return the columns STATS of some values; recipes are compared with the baseline, controls are not."""
    paired = arm.recipe not in (BASELINE, *grid.controls)
    less = values.minus(base) if paired else Values()
    anchored = BASELINE in grid.recipes
    lost = say_gaps(values.gaps + (base.gaps if paired and anchored else ()), with_target)
    if paired and not anchored:
        lost = "; ".join(filter(None, [lost, f"no recipe `{BASELINE}` to compare with"]))
    above = str(sum(d > TINY for d in less.by_seed.values())) if less.by_seed else ""
    return [str(len(values.by_seed)), *map(number, (values.mean, values.sd, less.mean, less.sd)), above, lost]


def _verdict(grid: ScoreGrid, task: TaskSpec, chosen: list[str], values: Values, other: Values) -> list[str]:
    """Return margin, noise and verdict of a score against a control.

    The noise is two standard errors of the difference from the size of the test sets alone: each value is treated as
    a share of its n examples (an upper bound for F1; four examples are added, two of them right, as Agresti and
    Coull do), languages as fully dependent, since their test sets are translations of each other.
    """
    score, control = values.mean, other.mean
    if score is None or control is None:
        return ["", "", "unknown"]
    margin = score - control
    noise = MANY * math.hypot(*(_error(v, [grid.size(task, x) for x in chosen]) for v in (score, control)))
    lowest = min(values.by_seed.values()) - max(other.by_seed.values())
    counts = "no" if margin <= TINY else "yes" if margin > noise and lowest > TINY else "unclear"
    return [number(margin), number(noise), counts]


def _error(percent: float, sizes: Iterable[int]) -> float:
    def one(n: int) -> float:
        share = (percent / 100 * n + 2) / (n + 4)
        return 100 * math.sqrt(share * (1 - share) / (n + 4))

    return statistics.fmean(map(one, sizes))


def _yes(value: bool) -> str:
    return "yes" if value else "no"
