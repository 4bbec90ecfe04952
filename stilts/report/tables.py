"""The tables of an experiment: each function returns (columns, rows). docs/results.md explains every column."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator

from stilts.metrics.measure import layer_of, metrics_of
from stilts.report.study import ALL, AVERAGES, BASELINE, SOURCE, ZERO_SHOT, Arm, Gap, Study, Values, say_gaps
from stilts.tasks.spec import TaskSpec

Table = tuple[list[str], list[list[str]]]
ARM = ["backbone", "budget_point"]
STATS = ["seeds", "mean", "sd", "difference", "difference_sd", "missing"]
OVERALL = "overall"
MANY = 2.0  # standard errors that a margin over a control must exceed


def number(value: float | None) -> str:
    """Return a number with six significant digits, rounding noise below a millionth gone; None is empty."""
    return "" if value is None else f"{round(value, 6) + 0.0:.6g}"


def all_tables(study: Study, names: dict[str, str]) -> dict[str, Table]:
    """Return every table by file name (without `.csv`). names: language code -> name shown."""
    return {
        "target_x_recipe": target_x_recipe(study),
        "targets": targets(study),
        "seeds": seeds(study),
        "overall": overall(study),
        "languages": languages(study, names),
        "controls": controls(study),
        "retrieval_layers": retrieval_layers(study),
        "missing": missing(study),
    }


def targets(study: Study) -> Table:
    """One row a (recipe or control) x target x protocol x average, with the difference to `none`."""
    columns = [*ARM, "role", "recipe", "target", "group", "protocol", "headline", "average", "languages", *STATS]
    rows = []
    for arm, role, task, protocol in _places(study):
        for average in AVERAGES:
            chosen = study.languages(task, average)
            if chosen:
                values = study.values(arm, task, protocol, chosen)
                base = study.values(arm._replace(recipe=BASELINE), task, protocol, chosen)
                head = [
                    *arm[:2],
                    role,
                    arm.recipe,
                    task.task,
                    task.group,
                    protocol,
                    _yes(protocol == study.headline(task)),
                ]
                rows.append([*head, average, str(len(chosen)), *_stats(study, arm, values, base)])
    return columns, rows


def seeds(study: Study) -> Table:
    """The values behind `targets`, seed by seed."""
    columns = [*ARM, "role", "recipe", "target", "protocol", "average", "seed", "value", "difference"]
    rows = []
    for arm, role, task, protocol in _places(study):
        for average in AVERAGES:
            chosen = study.languages(task, average)
            values = study.values(arm, task, protocol, chosen)
            base = study.values(arm._replace(recipe=BASELINE), task, protocol, chosen).by_seed
            paired = arm.recipe in study.recipes and arm.recipe != BASELINE
            for seed, value in sorted(values.by_seed.items()):
                less = value - base[seed] if paired and seed in base else None
                head = [*arm[:2], role, arm.recipe, task.task, protocol, average, str(seed)]
                rows.append([*head, number(value), number(less)])
    return columns, rows


def overall(study: Study) -> Table:
    """Means over the targets of a group and over all targets, headline protocols only."""
    columns = [*ARM, "recipe", "scope", "average", "targets", *STATS]
    rows = []
    for arm in study.arms(study.recipes):
        for scope, tasks in _scopes(study):
            for average in (ALL, ZERO_SHOT):
                members = [t for t in tasks if study.languages(t, average)]
                values = study.over_targets(arm, members, average)
                base = study.over_targets(arm._replace(recipe=BASELINE), members, average)
                listed = " ".join(t.task for t in members)
                if members:
                    rows.append([*arm, scope, average, listed, *_stats(study, arm, values, base, with_target=True)])
    return columns, rows


def languages(study: Study, names: dict[str, str]) -> Table:
    """One row a (recipe or control) x target x language x metric; retrieval at the headline layer only."""
    columns = [*ARM, "role", "recipe", "target", "protocol", "language", "name", "is_source", "metric", "n", *STATS]
    rows = []
    for arm, role, task, protocol in _places(study):
        if task.retrieval and protocol != study.headline(task):
            continue
        for language in study.languages(task):
            for metric in metrics_of(task.kind, protocol):
                values = study.values(arm, task, protocol, [language], [metric])
                base = study.values(arm._replace(recipe=BASELINE), task, protocol, [language], [metric])
                head = [*arm[:2], role, arm.recipe, task.task, protocol, language, names.get(language, language)]
                rows.append(
                    [
                        *head,
                        _yes(language == study.source),
                        metric,
                        str(study.size(task, language)),
                        *_stats(study, arm, values, base),
                    ]
                )
    return columns, rows


def controls(study: Study) -> Table:
    """Each score of a recipe against each control: the margin, its noise, and whether the score counts."""
    columns = [
        *ARM, "recipe", "target", "protocol", "headline", "average", "score", "control", "control_score",
        "margin", "noise", "counts",
    ]  # fmt: skip
    rows = []
    for arm, _, task, protocol in _places(study, controls=False):
        first = protocol == study.headline(task)
        scopes = [(a, study.languages(task, a)) for a in AVERAGES]
        scopes += [(x, [x]) for x in study.languages(task)] if first else []
        rivals = [c for c in study.controls if study.ran(arm._replace(recipe=c), task)]
        for scope, chosen in scopes:
            if not chosen:
                continue
            values = study.values(arm, task, protocol, chosen)
            head = [*arm, task.task, protocol, _yes(first), scope, number(values.mean)]
            for control in rivals:
                other = study.values(arm._replace(recipe=control), task, protocol, chosen)
                rows.append([*head, control, number(other.mean), *_verdict(study, task, chosen, values, other)])
            if not rivals:
                rows.append([*head, "", "", "", "", "unknown"])
    return columns, rows


def retrieval_layers(study: Study) -> Table:
    """Retrieval by hidden state: mean over the other languages, for recipes and controls."""
    columns = [*ARM, "role", "recipe", "target", "layer", "pooling", "headline", "languages", *STATS]
    rows = []
    for arm, role, task, protocol in _places(study):
        if task.retrieval:
            chosen = study.languages(task, ZERO_SHOT)
            layer, pooling = layer_of(protocol)
            values = study.values(arm, task, protocol, chosen)
            base = study.values(arm._replace(recipe=BASELINE), task, protocol, chosen)
            head = [*arm[:2], role, arm.recipe, task.task, str(layer), pooling, _yes(protocol == study.headline(task))]
            rows.append([*head, str(len(chosen)), *_stats(study, arm, values, base)])
    return columns, rows


def missing(study: Study) -> Table:
    """Every cell that should hold a score and does not; a target without any score of a seed is one row."""
    columns = [*ARM, "recipe", "target", "seed", "protocol", "language", "metric", "problem"]
    gaps: dict[Gap, None] = {}
    for arm, _, task, protocol in _places(study):
        gaps |= dict.fromkeys(study.values(arm, task, protocol, study.languages(task)).gaps)
    by_job: dict[tuple, list[Gap]] = {}
    for gap in gaps:
        by_job.setdefault((gap.arm, gap.target, gap.seed), []).append(gap)
    whole: dict[tuple, int] = {}
    for arm, _, task, protocol in _places(study):
        cells = len(study.languages(task)) * len(metrics_of(task.kind, protocol))
        whole[arm, task.task] = whole.get((arm, task.task), 0) + cells
    rows = []
    for (arm, target, seed), found in by_job.items():
        if len(found) == whole[arm, target]:
            rows.append([*arm, target, str(seed), ALL, ALL, ALL, "no score at all"])
        else:
            rows += [[*arm, target, str(seed), g.protocol, g.language, g.metric, g.problem] for g in found]
    return columns, rows


def target_x_recipe(study: Study) -> Table:
    """The wide table: a row a target (headline protocol), group and the whole; means, then differences to `none`."""
    others = [r for r in study.recipes if r != BASELINE]
    columns = [*ARM, "target", "protocol", "average", *study.recipes, *(f"{r} - {BASELINE}" for r in others)]
    rows = []
    for backbone, point, _ in study.arms([BASELINE]):
        for average in AVERAGES:
            lines = [(t.task, study.headline(t), [t]) for t in study.tasks]
            if average != SOURCE:
                lines += [(scope, "", tasks) for scope, tasks in _scopes(study)]
            for name, protocol, tasks in lines:
                members = [t for t in tasks if study.languages(t, average)]
                found = {r: study.over_targets(Arm(backbone, point, r), members, average) for r in study.recipes}
                base = found.get(BASELINE, Values())
                means = [number(v.mean) for v in found.values()]
                less = [number(found[r].minus(base).mean) for r in others]
                if members:
                    rows.append([backbone, point, name, protocol, average, *means, *less])
    return columns, rows


def _places(study: Study, controls: bool = True) -> Iterator[tuple[Arm, str, TaskSpec, str]]:
    """Yield (arm, role, task, protocol): recipes on every target, controls where they ran."""
    for task in study.tasks:
        for role, recipes in (("recipe", study.recipes), ("control", study.controls if controls else [])):
            for arm in study.arms(recipes):
                if role == "recipe" or study.ran(arm, task):
                    for protocol in study.protocols(task, arm):
                        yield arm, role, task, protocol


def _scopes(study: Study) -> list[tuple[str, list[TaskSpec]]]:
    groups = dict.fromkeys(t.group for t in study.tasks)
    return [(g, [t for t in study.tasks if t.group == g]) for g in groups] + [(OVERALL, study.tasks)]


def _stats(study: Study, arm: Arm, values: Values, base: Values, with_target: bool = False) -> list[str]:
    paired = arm.recipe in study.recipes and arm.recipe != BASELINE
    less = values.minus(base) if paired else Values()
    lost = say_gaps(values.gaps + (base.gaps if paired else ()), with_target)
    if paired and BASELINE not in study.recipes:
        lost = "; ".join(filter(None, [lost, f"no recipe `{BASELINE}` to compare with"]))
    return [str(len(values.by_seed)), *map(number, (values.mean, values.sd, less.mean, less.sd)), lost]


def _verdict(study: Study, task: TaskSpec, chosen: list[str], values: Values, other: Values) -> list[str]:
    """Return margin, noise and verdict of a score against a control.

    The noise is two standard errors of the difference from the size of the test sets alone: each value is treated as
    a share of its n examples (an upper bound for F1; four examples are added, two of them right, as Agresti and
    Coull do), languages as fully dependent, since their test sets are translations of each other.
    """
    score, control = values.mean, other.mean
    if score is None or control is None:
        return ["", "", "unknown"]
    margin = score - control
    noise = MANY * math.hypot(*(_error(v, [study.size(task, x) for x in chosen]) for v in (score, control)))
    lowest = min(values.by_seed.values()) - max(other.by_seed.values())
    counts = "no" if margin <= 0 else "yes" if margin > noise and lowest > 0 else "unclear"
    return [number(margin), number(noise), counts]


def _error(percent: float, sizes: Iterable[int]) -> float:
    def one(n: int) -> float:
        share = (percent / 100 * n + 2) / (n + 4)
        return 100 * math.sqrt(share * (1 - share) / (n + 4))

    return statistics.fmean(map(one, sizes))


def _yes(value: bool) -> str:
    return "yes" if value else "no"
