"""What changed between the scores of two states: means, paired differences over seeds, their intervals.

A seed means the same data order and the same head initialisation on both sides, so that differences are taken seed by
seed. Only languages that both sides have enter the two means; only seeds that both have enter the difference.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from stilts.metrics.measure import headline_protocol, metrics_of
from stilts.metrics.table import Score
from stilts.stats.student import mean_interval

TINY = 1e-9  # points; what floating-point sums of equal scores may differ by
LEVEL = 0.95
ALL_TARGETS = "(all targets)"


class Cell(NamedTuple):
    """What is compared. language: empty for the mean over languages."""

    backbone: str
    recipe: str
    target: str
    protocol: str
    budget_point: str
    metric: str
    language: str = ""


@dataclass(frozen=True)
class Row:
    """One cell on both sides. pairs: shared seed -> (A, B); a, b: means over shared seeds, else over each side's own.

    lacking: what was left out, in words; better: 1 where more is better, else -1.
    """

    cell: Cell
    pairs: Mapping[int, tuple[float, float]]
    a: float
    b: float
    better: int = 1
    languages: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()
    members: tuple[str, ...] = ()

    @property
    def difference(self) -> float:
        """B minus A."""
        return self.b - self.a

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % t interval of the mean paired difference; None with fewer than two seeds or without spread."""
        differences = [b - a for a, b in self.pairs.values()]
        return None if _level(differences) else mean_interval(differences, LEVEL)

    @property
    def why_no_interval(self) -> str:
        """Why there is no interval, in two words; empty where there is one."""
        if len(self.pairs) < 2:
            return "one seed" if self.pairs else "no shared seed"
        return "" if self.interval else "equal in every seed" if self.changed else "no change"

    @property
    def clear(self) -> bool:
        """Whether the interval excludes 0."""
        found = self.interval
        return found is not None and (found[0] > 0 or found[1] < 0)

    @property
    def changed(self) -> bool:
        """Whether any shared seed (or, without one, the mean) differs."""
        if not self.pairs:
            return abs(self.difference) > TINY
        return any(abs(b - a) > TINY for a, b in self.pairs.values())


@dataclass(frozen=True)
class Comparison:
    """Two states side by side. rows: of both, biggest change first; only_a, only_b: cells that one side alone has.

    apart: cells of both that share no language, or have no seed with all shared languages.
    """

    rows: list[Row]
    overall: list[Row]
    only_a: list[Cell]
    only_b: list[Cell]
    apart: list[Cell]


def compare_scores(
    a: Sequence[Score], b: Sequence[Score], by_language: bool = False, grid: Mapping[str, Any] | None = None
) -> Comparison:
    """Compare two lists of scores, cell by cell. grid: spec of the tables of B, for the means over targets."""
    left, right = (_sides(scores, by_language) for scores in (a, b))
    only_a, only_b = sorted(left.keys() - right.keys()), sorted(right.keys() - left.keys())
    found = {cell: _row(cell, left[cell], right[cell]) for cell in sorted(left.keys() & right.keys())}
    rows = [row for row in found.values() if row]
    apart = [cell for cell, row in found.items() if row is None]
    means = _overall([r for r in rows if not r.cell.language], grid or {})
    return Comparison(_biggest_first(rows), _biggest_first(means), only_a, only_b, apart)


class _Side:
    """The values of one cell on one side: seed -> language -> value."""

    def __init__(self) -> None:
        self.values: dict[int, dict[str, float]] = defaultdict(dict)
        self.better = 1

    @property
    def languages(self) -> set[str]:
        return {language for values in self.values.values() for language in values}

    def means(self, languages: Iterable[str]) -> dict[int, float]:
        """Return seed -> mean over languages, of the seeds that have them all."""
        wanted = sorted(languages)
        return {
            seed: statistics.fmean(values[x] for x in wanted)
            for seed, values in sorted(self.values.items())
            if all(x in values for x in wanted)
        }


def _sides(scores: Iterable[Score], by_language: bool) -> dict[Cell, _Side]:
    found: dict[Cell, _Side] = defaultdict(_Side)
    for s in scores:
        if not math.isnan(s.value):
            side = found[
                Cell(
                    s.backbone, s.recipe, s.target, s.protocol, s.budget_point, s.metric,
                    s.language if by_language else "",
                )
            ]  # fmt: skip
            side.values[s.seed][s.language] = s.value
            side.better = 1 if s.higher_is_better else -1
    return dict(found)


def _row(cell: Cell, a: _Side, b: _Side) -> Row | None:
    """Return the comparison of one cell; None where the two sides have nothing to compare."""
    shared = a.languages & b.languages
    if not shared:
        return None
    left, right = a.means(shared), b.means(shared)
    if not left or not right:
        return None
    pairs = {seed: (left[seed], right[seed]) for seed in left if seed in right}
    lacking = [f"{_listed(a.languages - shared)} only in A"] * bool(a.languages - shared)
    lacking += [f"{_listed(b.languages - shared)} only in B"] * bool(b.languages - shared)
    lacking += _seeds("A", left, pairs) + _seeds("B", right, pairs)
    lacking += _gaps("A", a, left) + _gaps("B", b, right)
    means = zip(*pairs.values(), strict=True) if pairs else (left.values(), right.values())
    first, second = (statistics.fmean(values) for values in means)
    return Row(cell, pairs, first, second, b.better, tuple(sorted(shared)), tuple(lacking))


def _seeds(side: str, means: Mapping[int, float], pairs: Mapping[int, Any]) -> list[str]:
    rest = sorted(means.keys() - pairs.keys())
    return [f"seed {_listed(rest)} only in {side}"] if rest else []


def _gaps(side: str, values: _Side, means: Mapping[int, float]) -> list[str]:
    rest = sorted(values.values.keys() - means.keys())
    return [f"seed {_listed(rest)} of {side} lacks languages"] if rest else []


def _listed(values: Iterable[Any]) -> str:
    return " ".join(map(str, sorted(values)))


def _overall(rows: Iterable[Row], grid: Mapping[str, Any]) -> list[Row]:
    """Return the mean over the targets that both sides have, headline scores only, of every recipe of the grid."""
    wanted = {}
    for task in grid.get("targets", []):
        protocol = headline_protocol(task["kind"], grid["retrieval_layer"], grid.get("retrieval_pooling", "mean"))
        wanted[task["task"]] = (protocol, metrics_of(task["kind"], protocol))
    groups: dict[tuple, dict[str, dict[str, Row]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        c = row.cell
        protocol, metrics = wanted.get(c.target, ("", ()))
        if c.recipe in grid.get("recipes", []) and c.protocol == protocol and c.metric in metrics:
            groups[c.backbone, c.recipe, c.budget_point][c.target][c.metric] = row
    found = []
    for (backbone, recipe, point), targets in groups.items():
        whole = {t: list(rows.values()) for t, rows in targets.items() if len(rows) == len(wanted[t][1])}
        cell = Cell(backbone, recipe, ALL_TARGETS, "", point, "")
        members = [row for rows in whole.values() for row in rows]
        seeds = set.intersection(*(set(row.pairs) for row in members)) if members else set()
        if len(whole) > 1 and seeds:
            found.append(_mean_row(cell, whole, sorted(seeds)))
    return found


def _mean_row(cell: Cell, targets: Mapping[str, Sequence[Row]], seeds: Sequence[int]) -> Row:
    """Return the mean over targets of the mean over their metrics, seed by seed."""
    pairs = {}
    for seed in seeds:
        sides = [
            statistics.fmean(statistics.fmean(row.pairs[seed][side] for row in rows) for rows in targets.values())
            for side in (0, 1)
        ]
        pairs[seed] = (sides[0], sides[1])
    a, b = (statistics.fmean(values) for values in zip(*pairs.values(), strict=True))
    return Row(cell, pairs, a, b, members=tuple(sorted(targets)))


def _level(values: Sequence[float]) -> bool:
    """Whether values are equal but for rounding, so that they have no spread to judge by."""
    return not values or max(values) - min(values) <= TINY


def _biggest_first(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (-round(abs(row.difference), 6), row.cell))
