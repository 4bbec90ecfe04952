"""Score at a budget as plain arithmetic: which configuration is taken, the area under the curve, the Pareto front.

A configuration is a backbone under a budget point; a budget affords every configuration that costs at most as much.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

ROUNDING = 1e-9  # by which a cost may exceed a budget that was computed from it


class Configuration(NamedTuple):
    """What inference may run, and its cost. order: its place in the experiment, which settles what is equal."""

    backbone: str
    point: str
    cost: float
    order: int = 0

    @property
    def name(self) -> str:
        """Return `backbone point`."""
        return f"{self.backbone} {self.point}"


def affords(budget: float, cost: float) -> bool:
    """Whether a budget affords a cost."""
    return cost <= budget * (1 + ROUNDING)


def choose(
    configurations: Sequence[Configuration], budget: float, dev: Mapping[Configuration, float] | None
) -> Configuration | None:
    """Return the affordable configuration with the highest dev score; None where nothing is affordable.

    Equal scores go to the cheaper, then to the earlier one. dev: None for a target without dev data, which takes the
    dearest that it can afford. Raises KeyError for an affordable configuration that `dev` does not have.
    """
    here = [c for c in configurations if affords(budget, c.cost)]
    if dev is None:
        return max(here, key=lambda c: (c.cost, -c.order), default=None)
    return max(here, key=lambda c: (dev[c], -c.cost, -c.order), default=None)


def levels(configurations: Sequence[Configuration]) -> list[float]:
    """Return the costs at which a curve over the budget can step, in rising order."""
    found: list[float] = []
    for cost in sorted(c.cost for c in configurations):
        if not found or not affords(found[-1], cost):
            found.append(cost)
    return found


def weights(costs: Sequence[float], low: float, high: float) -> list[float] | None:
    """Return the share of the window low..high, on a logarithmic scale, in which each step of a curve holds.

    costs: where the curve steps, rising; the last step holds for ever. None where the window begins below the first
    step, so that the curve has no value in part of it. The area under the curve, divided by the width of the window,
    is the sum of its values times these shares.
    """
    if not costs or not affords(low, costs[0]):
        return None
    edges = [max(low, min(high, c)) for c in costs[1:]]
    logs = [math.log(low), *map(math.log, edges), math.log(high)]
    return [(b - a) / (logs[-1] - logs[0]) for a, b in pairwise(logs)]


def step_at(costs: Sequence[float], budget: float) -> int | None:
    """Return the number of the step that holds at a budget; None below the first."""
    place = bisect_right([c / (1 + ROUNDING) for c in costs], budget) - 1
    return place if place >= 0 else None


def front(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Return for each (cost, score) whether no other costs no more and scores no less, one of them strictly."""
    best, on = -math.inf, [False] * len(points)
    cheapest_of: dict[float, float] = {}
    for cost, score in points:
        cheapest_of[cost] = max(score, cheapest_of.get(cost, -math.inf))
    for cost in sorted(cheapest_of):
        if cheapest_of[cost] > best:
            best = cheapest_of[cost]
            for k, point in enumerate(points):
                on[k] = on[k] or point == (cost, best)
    return on
