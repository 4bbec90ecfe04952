"""What an experiment measured, as the budget claims read it: scores by language and block, dev scores, costs."""

from __future__ import annotations

import csv
import json
import math
import statistics
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from stilts.budget.steps import Configuration
from stilts.budget.table import MEAN, Cost, read_costs
from stilts.budget.training import INTERMEDIATE
from stilts.errors import UserError
from stilts.metrics.blocks import BLOCKS, read_blocks
from stilts.metrics.measure import headline_protocol, metrics_of
from stilts.metrics.table import read_scores

BASELINE = "none"


class Key(NamedTuple):
    """One run of a target."""

    backbone: str
    point: str
    recipe: str
    target: str
    seed: int


class Target(NamedTuple):
    """What of a task its scores are read by."""

    task: str
    kind: str
    variant: str
    languages: list[str]


@dataclass(frozen=True)
class Run:
    """What one run scored, in percent, question answering as the mean of F1 and exact match.

    scores: language -> score; blocks: language -> the score of each block of its examples, empty where the protocol
    has none; sizes: language -> test examples; dev: None without dev data; problem: what is missing, or empty.
    """

    scores: Mapping[str, float]
    blocks: Mapping[str, list[float]]
    sizes: Mapping[str, int]
    dev: float | None = None
    problem: str = ""


class Experiment:
    """The runs of an experiment, its targets, and what each configuration costs."""

    def __init__(
        self,
        spec: Mapping[str, Any],
        runs: Mapping[Key, Run],
        costs: Mapping[tuple[str, str, str], float | str],
        whole: Mapping[tuple[str, str, str], float | str] | None = None,
        training: Mapping[tuple[str, str, int], float] | None = None,
    ) -> None:
        """Take what was read.

        costs: (backbone, point, target) -> the cost, or why there is none; whole: the same of the last hidden state,
        where `costs` are those of an earlier one; training: (backbone, recipe, seed) -> FLOPs of its own phase.
        """
        self.name, self.source = str(spec["experiment"]), str(spec["source_language"])
        self.tasks = {t["task"]: Target(**t) for t in spec["targets"]}
        self.recipes, self.seeds = list(spec["recipes"]), [int(s) for s in spec["seeds"]]
        self.places = {
            t: [(b, p) for b in spec["backbones"] for p in spec["budget_points"][t]] for t in spec["budget_points"]
        }
        self.runs, self.axis, self.scale = runs, str(spec["budget"]["axis"]), str(spec["budget"]["scale"])
        self.training = training or {}
        self._costs, self._whole = costs, whole or costs

    def configurations(self, target: str) -> tuple[list[Configuration], list[str]]:
        """Return the configurations of a target that have a cost, and a line for each that has none.

        With `scale: share` a cost is a share of that of the target's first configuration, to its last hidden state.
        """
        found, lost = [], []
        whole = self._whole.get((*self.places[target][0], target), "no cost")
        for order, place in enumerate(self.places[target]):
            cost = self._costs.get((*place, target), "no cost")
            if isinstance(cost, str) or (self.scale == "share" and isinstance(whole, str)):
                reason = cost if isinstance(cost, str) else f"the cost that shares are of: {whole}"
                lost.append(f"{' '.join(place)} left out: {reason}")
            else:
                found.append(Configuration(*place, cost / whole if self.scale == "share" else cost, order))
        return found, lost

    def run(self, where: Configuration, recipe: str, target: str, seed: int) -> Run:
        """Return a run."""
        return self.runs[Key(where.backbone, where.point, recipe, target, seed)]

    def judged_on_dev(self, target: str) -> bool:
        """Whether a target has dev scores; sentence retrieval has none."""
        return any(run.dev is not None for key, run in self.runs.items() if key.target == target)

    def languages(self, target: str, average: str = "zero-shot") -> list[str]:
        """Return a target's languages, `zero-shot`: without the source language."""
        names = self.tasks[target].languages
        return [x for x in names if average != "zero-shot" or x != self.source] or names


class Table(NamedTuple):
    """The scores of a run: those of each language, and of each block of its examples (None: it has none)."""

    scores: np.ndarray  # (languages,)
    blocks: np.ndarray | None  # (languages, blocks)

    @property
    def mean(self) -> float:
        """Return the mean over languages."""
        return float(self.scores.mean())


def table_of(run: Run, languages: list[str]) -> Table:
    """Return the table of a run; raises KeyError for a language that it does not have."""
    whole = all(x in run.blocks for x in languages)
    blocks = np.array([run.blocks[x] for x in languages]) if whole else None
    return Table(np.array([run.scores[x] for x in languages]), blocks)


def combined(tables: list[Table], shares: list[float]) -> Table:
    """Return the weighted sum of tables of the same languages."""
    used = [(t, w) for t, w in zip(tables, shares, strict=True) if w]
    whole = all(t.blocks is not None for t, _ in used)
    return Table(sum(w * t.scores for t, w in used), sum(w * t.blocks for t, w in used) if whole else None)


def over_languages(table: Table) -> Table:
    """Return a table of one row, the mean over languages."""
    blocks = None if table.blocks is None else table.blocks.mean(axis=0, keepdims=True)
    return Table(table.scores.mean(keepdims=True), blocks)


def run_places(spec: Mapping[str, Any], folder: Path) -> Iterator[tuple[Key, Path]]:
    """Yield every run of the experiment's recipes and the manifest of its score."""
    for target, points in spec["budget_points"].items():
        for backbone, point, recipe, seed in product(spec["backbones"], points, spec["recipes"], spec["seeds"]):
            place = folder / backbone / recipe / target / point / f"s{seed}" / "manifest.json"
            yield Key(backbone, point, recipe, target, int(seed)), place


def read_experiment(spec: Mapping[str, Any], scores: Path, costs: Path, training: Path | None = None) -> Experiment:
    """Return an experiment from the folder of its scores, its costs.csv and its training.csv."""
    tasks = {t["task"]: Target(**t) for t in spec["targets"]}
    runs = {key: read_run(spec, tasks[key.target], place.parent) for key, place in run_places(spec, scores)}
    rows, axis = read_costs(costs), str(spec["budget"]["axis"])
    prices, whole = (costs_of(rows, axis, layer) for layer in (int(spec["retrieval_layer"]), None))
    return Experiment(spec, runs, prices, whole, read_training(training) if training else None)


def read_run(spec: Mapping[str, Any], task: Target, folder: Path) -> Run:
    """Return what one score job wrote, headline protocol only."""
    headline = headline_protocol(task.kind, int(spec["retrieval_layer"]), spec["retrieval_pooling"], task.variant)
    metrics = metrics_of(task.kind, headline)
    found = {
        (s.language, s.metric): s
        for s in read_scores(folder / "scores.csv")
        if s.protocol == headline and s.metric in metrics and s.recipe == folder.parents[2].name
    }
    scores, sizes, lost = {}, {}, []
    for language in task.languages:
        cells = [found.get((language, m)) for m in metrics]
        if any(c is None or math.isnan(c.value) for c in cells):
            lost.append(f"{language} ({'no score' if None in cells else 'not a number'})")
        else:
            scores[language] = statistics.fmean(c.value for c in cells)
            sizes[language] = cells[0].n
    dev = folder / "dev.json"
    value = json.loads(dev.read_text(encoding="utf-8"))["value"] if dev.is_file() else None
    known = value is not None and math.isfinite(value)
    return Run(scores, _blocks(folder, headline, metrics), sizes, value if known else None, ", ".join(lost))


def _blocks(folder: Path, headline: str, metrics: tuple[str, ...]) -> dict[str, list[float]]:
    found = read_blocks(folder / "blocks.csv")
    languages = {language for protocol, language, _ in found if protocol == headline}
    whole = [x for x in sorted(languages) if all((headline, x, m) in found for m in metrics)]
    return {x: [statistics.fmean(found[headline, x, m][k] for m in metrics) for k in range(BLOCKS)] for x in whole}


def costs_of(rows: Iterable[Cost], axis: str, layer: int | None) -> dict[tuple[str, str, str], float | str]:
    """Return (backbone, point, target) -> cost, or why it was not measured.

    layer: hidden state that swept targets are read at; None: the last that they have. The cost of a target whose
    languages differ is their mean. Raises UserError for two costs of one configuration.
    """
    mine = [row for row in rows if row.cost == axis and row.language in ("", MEAN)]
    last = {row.target: max(int(r.layer) for r in mine if r.target == row.target) for row in mine if row.layer}
    found: dict[tuple[str, str, str], float | str] = {}
    for row in mine:
        if row.layer in ("", str(last.get(row.target) if layer is None else layer)):
            key = (row.backbone, row.point, row.target)
            if key in found:
                raise UserError(f"costs.csv: two costs {axis} of {', '.join(key)}")
            lost = f"{axis} was not measured{f': {row.note}' if row.note else ''}"
            found[key] = lost if row.value is None else row.value
    return found


def read_training(path: Path) -> dict[tuple[str, str, int], float]:
    """Return (backbone, recipe, seed) -> FLOPs of the recipe's own phase, from training.csv of rule `count_costs`."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["phase"] == INTERMEDIATE]
    return {(r["backbone"], r["recipe"], int(r["seed"])): float(r["flops"]) for r in rows}
