"""Best per target: which recipe a target takes, chosen on source-language dev data alone, never on a test score.

A target with dev scores takes the recipe with the highest mean over seeds. A target without any source-language dev
data (sentence retrieval) takes the recipe with the highest mean over the dev scores of all other targets under the
same budget. Equal means go to the recipe that the configuration names first. A missing dev score leaves no choice.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from stilts.report.grid import Arm, Gap, ScoreGrid, Values
from stilts.tasks.arms import BEST
from stilts.tasks.spec import TaskSpec

OWN, OTHERS = "own dev", "mean dev of the other targets"
NO_CHOICE = "no choice: a dev score is missing"


class Dev(NamedTuple):
    """The dev score of one tuned model: percent on the source-language dev data of `task`."""

    arm: Arm
    target: str
    seed: int
    task: str
    value: float


class Choice(NamedTuple):
    """What a target takes, how that was found, and the dev means of all recipes that it was found by."""

    recipe: str | None
    chosen_on: str
    means: dict[str, float]


class Choices:
    """The choice of every target under every backbone and budget point."""

    def __init__(self, grid: ScoreGrid, dev: Iterable[Dev]) -> None:
        """Index the dev scores of the recipes; those of controls play no part."""
        self.grid = grid
        self._found: dict[tuple[str, str, str, str], dict[int, Dev]] = {}
        for d in dev:
            if d.arm.recipe in grid.recipes:
                self._found.setdefault((*d.arm, d.target), {})[d.seed] = d

    def __bool__(self) -> bool:
        """Whether there is anything to choose between, and anything to choose by."""
        return len(self.grid.recipes) > 1 and bool(self._found)

    def of(self, backbone: str, point: str, target: str) -> Choice:
        """Return the choice of a target."""
        own = self._tables(backbone, point, [target])
        if own:
            return self._best(own, OWN)
        others = self._tables(backbone, point, [t.task for t in self.grid.tasks])
        return self._best(others, OTHERS) if others else Choice(None, "", {})

    def _tables(self, backbone: str, point: str, targets: Sequence[str]) -> list[dict[str, float | None]]:
        """Return recipe -> mean over seeds (None: one is missing) for each target that has any dev score.

        Targets that share a tuned model share its dev scores and count once.
        """
        tables: dict[tuple, dict[str, float | None]] = {}
        for target in targets:
            found = {r: self._found.get((backbone, point, r, target), {}) for r in self.grid.recipes}
            if any(found.values()):
                key = tuple((r, s, d.task, d.value) for r, seeds in found.items() for s, d in sorted(seeds.items()))
                tables[key] = {r: self._mean(seeds) for r, seeds in found.items()}
        return list(tables.values())

    def _mean(self, seeds: dict[int, Dev]) -> float | None:
        whole = all(s in seeds for s in self.grid.seeds)
        return statistics.fmean(seeds[s].value for s in self.grid.seeds) if whole else None

    def _best(self, tables: list[dict[str, float | None]], chosen_on: str) -> Choice:
        columns = {r: [t[r] for t in tables] for r in self.grid.recipes}
        means = {r: statistics.fmean(v) for r, v in columns.items() if None not in v}
        whole = len(means) == len(columns)
        return Choice(max(means, key=lambda r: round(means[r], 6)) if whole else None, chosen_on, means)

    def score(
        self, arm: Arm, task: TaskSpec, languages: Sequence[str], protocol: str = "", metrics: Sequence[str] = ()
    ) -> Values:
        """Return the score of an arm, which may be `best-per-target`, over some languages; default: the headline."""
        protocol = protocol or self.grid.headline(task)
        if arm.recipe == BEST:
            recipe = self.of(arm.backbone, arm.budget_point, task.task).recipe
            if recipe is None:
                place = (arm, task.task, protocol)
                return Values({}, tuple(Gap(*place, "all", s, "all", NO_CHOICE) for s in self.grid.seeds))
            arm = arm._replace(recipe=recipe)
        return self.grid.values(arm, task, protocol, languages, metrics)

    def recipes(self) -> list[str]:
        """Return the recipes of the grid, and `best-per-target` where there is a choice."""
        return [*self.grid.recipes, *([BEST] if self else [])]
