"""The scores of an experiment as a grid that knows what should be there, and the averages over it.

Averages are those of XTREME and of the paper: a task score is the plain mean over its languages, the source language
included; question answering is the mean of F1 and exact match; groups and the whole are plain means over targets.
Nothing is averaged over what is missing: a value with gaps has no mean, and the gaps are named.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import Any, NamedTuple

from stilts.errors import UserError
from stilts.metrics.measure import headline_protocol, layer_of, layer_protocol, metrics_of, protocols_of
from stilts.metrics.table import Score
from stilts.tasks.spec import TaskSpec

BASELINE = "none"
DERIVED_CONTROLS = ("majority", "type-chance")
ALL, ZERO_SHOT, SOURCE = "all", "zero-shot", "source"
AVERAGES = (ALL, ZERO_SHOT, SOURCE)
NO_SCORE, NOT_A_NUMBER = "no score", "not a number"


class Arm(NamedTuple):
    """What is compared: a backbone under a budget, after a recipe (or a control)."""

    backbone: str
    budget_point: str
    recipe: str


class Gap(NamedTuple):
    """One cell that should hold a score and does not."""

    arm: Arm
    target: str
    protocol: str
    language: str
    seed: int
    metric: str
    problem: str


@dataclass(frozen=True)
class Values:
    """One number a seed, and the gaps that keep some seeds without one."""

    by_seed: dict[int, float] = field(default_factory=dict)
    gaps: tuple[Gap, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether there is something to average and nothing is missing."""
        return bool(self.by_seed) and not self.gaps

    @property
    def mean(self) -> float | None:
        """Mean over seeds; None when anything is missing."""
        return statistics.fmean(self.by_seed.values()) if self.whole else None

    @property
    def sd(self) -> float | None:
        """Sample standard deviation over seeds (n - 1); None with gaps or fewer than two seeds."""
        return statistics.stdev(self.by_seed.values()) if self.whole and len(self.by_seed) > 1 else None

    def minus(self, other: Values) -> Values:
        """Return the differences paired by seed; a seed that only one side has is a gap already or no pair."""
        pairs = {s: v - other.by_seed[s] for s, v in self.by_seed.items() if s in other.by_seed}
        whole = self.whole and other.whole and self.by_seed.keys() == other.by_seed.keys()
        return Values(pairs if whole else {}, self.gaps + other.gaps)


class ScoreGrid:
    """All scores of one experiment beside the grid its configuration asked for."""

    def __init__(self, spec: dict[str, Any], scores: Iterable[Score]) -> None:
        """Index the scores; raises UserError for duplicates, strays and test sets of differing size.

        spec: that of rule summarise (docs/results.md); `budget_points` is one list, or one for each target.
        """
        self.experiment: str = spec["experiment"]
        self.source: str = spec["source_language"]
        self.tasks = [TaskSpec.model_validate(t) for t in spec["targets"]]
        self.recipes: list[str] = list(spec["recipes"])
        self.seeds = [int(s) for s in spec["seeds"]]
        points = spec["budget_points"]
        self.points = {
            t.task: [str(p) for p in (points[t.task] if isinstance(points, dict) else points)] for t in self.tasks
        }
        self.layer, self.pooling = int(spec["retrieval_layer"]), spec.get("retrieval_pooling", "mean")
        self.scores = sorted(scores, key=lambda s: s.key)
        self.backbones: list[str] = list(spec.get("backbones") or dict.fromkeys(s.backbone for s in self.scores))
        self.controls = [c for c in spec.get("controls", []) if c not in self.recipes]
        self.controls += [c for c in DERIVED_CONTROLS if any(s.recipe == c for s in self.scores)]
        self._control_seeds = spec.get("control_seeds")
        self._cells: dict[tuple, Score] = {}
        self._seen: dict[tuple, set[int]] = {}
        self._sizes: dict[tuple[str, str, str], Score] = {}
        self._values: dict[tuple, Values] = {}
        self._check()

    def _check(self) -> None:
        known = {
            "experiment": {self.experiment},
            "backbone": set(self.backbones),
            "recipe": {*self.recipes, *self.controls},
            "target": {t.task for t in self.tasks},
        }
        languages = {t.task: set(self.languages(t)) for t in self.tasks}
        for s in self.scores:
            where = f"{s.recipe} > {s.target}@{s.protocol}, {s.language}, {s.metric}, {s.budget_point}, seed {s.seed}"
            for name, values in known.items():
                if getattr(s, name) not in values:
                    raise UserError(
                        f"score of {where}: {name} {getattr(s, name)!r} is not part of experiment "
                        f"{self.experiment!r} ({', '.join(sorted(values))}); delete stale files below scores/"
                    )
            if s.budget_point not in self.points[s.target]:
                raise UserError(f"score of {where}: the target's budget points are {', '.join(self.points[s.target])}")
            if s.language not in languages[s.target]:
                raise UserError(f"score of {where}: the task's languages are {', '.join(sorted(languages[s.target]))}")
            if s.recipe in self.recipes and s.seed not in self.seeds:
                raise UserError(f"score of {where}: the seeds of the experiment are {', '.join(map(str, self.seeds))}")
            if s.key in self._cells:
                raise UserError(f"two scores of {where}: {self._cells[s.key].value} and {s.value}")
            first = self._sizes.setdefault((s.target, s.protocol, s.language), s)
            if first.n != s.n:
                raise UserError(f"score of {where}: n is {s.n}, but {first.n} for {first.recipe}, seed {first.seed}")
            self._cells[s.key] = s
            self._seen.setdefault((s.backbone, s.budget_point, s.recipe, s.target), set()).add(s.seed)

    def arms(self, recipes: Sequence[str], tasks: Sequence[TaskSpec]) -> list[Arm]:
        """Return backbone x budget point of any of the tasks x recipe, in the order of the configuration."""
        points = list(dict.fromkeys(p for t in tasks for p in self.points[t.task]))
        return [Arm(b, p, r) for b in self.backbones for p in points for r in recipes]

    def members(self, arm: Arm, tasks: Sequence[TaskSpec], average: str) -> list[TaskSpec]:
        """Return the targets that have the arm's budget point and a language of the average."""
        return [t for t in tasks if arm.budget_point in self.points[t.task] and self.languages(t, average)]

    def ran(self, arm: Arm, task: TaskSpec) -> bool:
        """Whether there is any score of an arm on a target."""
        return (*arm, task.task) in self._seen

    def rival(self, arm: Arm, control: str, task: TaskSpec) -> Arm | None:
        """Return the control that a score is held against: under its own budget, else the first, where controls run."""
        there = [Arm(arm.backbone, p, control) for p in (arm.budget_point, self.points[task.task][0])]
        return next((rival for rival in there if self.ran(rival, task)), None)

    def languages(self, task: TaskSpec, average: str = ALL) -> list[str]:
        """Return the languages of an average: all, zero-shot (without the source language) or the source alone."""
        languages = sorted(task.languages or [self.source])
        return [x for x in languages if average == ALL or (x == self.source) == (average == SOURCE)]

    def headline(self, task: TaskSpec) -> str:
        """Return the protocol that enters averages over targets."""
        return headline_protocol(task.kind, self.layer, self.pooling, task.variant)

    def protocols(self, task: TaskSpec, arm: Arm) -> list[str]:
        """Return the protocols of a target; bitext: the headline and every layer any recipe has under the budget."""
        if not task.swept:
            return list(protocols_of(task.kind))
        layers = self._layers.get((*arm[:2], task.task), set()) | {(self.layer, self.pooling)}
        return [layer_protocol(*k, task.variant) for k in sorted(layers)]

    @cached_property
    def _layers(self) -> dict[tuple, set[tuple[int, str]]]:
        retrieval = {t.task for t in self.tasks if t.swept}
        found: dict[tuple, set[tuple[int, str]]] = {}
        for s in self.scores:
            if s.target in retrieval:
                found.setdefault((s.backbone, s.budget_point, s.target), set()).add(layer_of(s.protocol))
        return found

    def seeds_of(self, arm: Arm, task: TaskSpec) -> list[int]:
        """Return the seeds an arm should have: the experiment's, or for controls their own."""
        if arm.recipe in self.recipes:
            return self.seeds
        if self._control_seeds and arm.recipe not in DERIVED_CONTROLS:
            return [int(s) for s in self._control_seeds]
        return sorted(self._seen.get((*arm, task.task), ()))

    def values(
        self, arm: Arm, task: TaskSpec, protocol: str, languages: Sequence[str], metrics: Sequence[str] = ()
    ) -> Values:
        """Return, for each seed, the mean over metrics of the mean over languages.

        metrics: default are those of the task score. No languages: no values and no gaps.
        """
        metrics = metrics or metrics_of(task.kind, protocol)
        if not languages:
            return Values()
        wanted = (arm, task.task, protocol, tuple(product(metrics, languages)))
        if wanted not in self._values:
            self._values[wanted] = self._mean(*wanted, self.seeds_of(arm, task))
        return self._values[wanted]

    def _mean(self, arm: Arm, target: str, protocol: str, cells: Sequence[tuple], seeds: Sequence[int]) -> Values:
        backbone, budget_point, recipe = arm
        by_seed, gaps = {}, []
        for seed in seeds:
            found = []
            for metric, language in cells:
                key = (self.experiment, backbone, recipe, target, protocol, language, budget_point, seed, metric)
                score = self._cells.get(key)
                if score is None or math.isnan(score.value):
                    problem = NO_SCORE if score is None else NOT_A_NUMBER
                    gaps.append(Gap(arm, target, protocol, language, seed, metric, problem))
                else:
                    found.append(score.value)
            # Every metric has every language, so that the mean over all cells is the mean of the means.
            if len(found) == len(cells):
                by_seed[seed] = statistics.fmean(found)
        return Values(by_seed, tuple(gaps))

    def task_score(self, arm: Arm, task: TaskSpec, average: str = ALL) -> Values:
        """Return the headline score of a target."""
        return self.values(arm, task, self.headline(task), self.languages(task, average))

    def over_targets(self, arm: Arm, tasks: Sequence[TaskSpec], average: str) -> Values:
        """Return the plain mean over targets for each seed; gaps of any target are gaps of the mean."""
        return self.over([self.task_score(arm, t, average) for t in tasks])

    def over(self, members: Sequence[Values]) -> Values:
        """Return the plain mean of some values for each seed of the experiment; their gaps are gaps of the mean."""
        gaps = tuple(g for m in members for g in m.gaps)
        whole = [s for s in self.seeds if all(s in m.by_seed for m in members)] if members else []
        return Values({s: statistics.fmean(m.by_seed[s] for m in members) for s in whole}, gaps)

    def size(self, task: TaskSpec, language: str) -> int:
        """Return the number of test examples of a language; 0 where no arm has a score."""
        score = self._sizes.get((task.task, self.headline(task), language))
        return score.n if score else 0


def say_gaps(gaps: Iterable[Gap], with_target: bool = False) -> str:
    """Return the gaps in a few words: `seed 2: qab, qac (no score)`; long lists are cut and counted."""
    places: dict[tuple, dict[str, None]] = {}
    for g in gaps:
        head = (g.target if with_target else "", g.arm.recipe if g.arm.recipe == BASELINE else "", g.seed, g.problem)
        places.setdefault(head, {})[g.language] = None
    texts = []
    for (target, recipe, seed, problem), languages in places.items():
        names = list(languages)
        listed = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        prefix = " ".join(part for part in (recipe, target, f"seed {seed}") if part)
        texts.append(f"{prefix}: {listed} ({problem})")
    return "; ".join(texts[:4]) + (f"; and {len(texts) - 4} more" if len(texts) > 4 else "")
