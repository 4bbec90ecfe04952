"""The mean of a table whose rows, columns, ... were drawn at random, and how far it may be from the truth.

The table crosses factors: seeds x languages x blocks of test examples. A factor is *random* when the mean is to hold
for others of its kind (other seeds, other examples), *fixed* when it is to hold for these alone. Every seed is tested
on the same examples, so the error of the examples does not shrink as seeds are added, and the cells are no
independent draws. With a random effect for every random factor and every crossing of them, the variance of the mean is

    sum over non-empty sets A of random factors of  (-1)^(|A| + 1)  v(A),
    v(A) = (sum of squares of the effects of A, all other factors averaged out) / prod over a in A of n_a (n_a - 1),

because v(A) is expected to hold the variance that A adds to the mean and that of every larger set, which the signs
count once. This is the analysis of variance of the balanced crossed design (Searle, Casella and McCulloch, Variance
Components, 1992, chapter 4); its degrees of freedom are Satterthwaite's (Biometrics Bulletin 2, 1946). With one random
factor it is Student's t on the factor's means, exactly. With several, few seeds can look closer together by chance than
they are; so an interval is never narrower than the one that fewer of the random factors give.
stilts/stats/simulation.py measures the error rates that come of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from stilts.stats.student import t_cdf, t_quantile


class Spread(NamedTuple):
    """How exact a mean is: (standard error, degrees of freedom) for each set of the random factors."""

    parts: tuple[tuple[float, float], ...]

    def widest(self, level: float = 0.95) -> tuple[float, float]:
        """Return the (standard error, degrees of freedom) that give the widest interval."""
        return max(self.parts, key=lambda part: part[0] * t_quantile((1 + level) / 2, part[1]))

    def interval(self, mean: float, level: float = 0.95) -> tuple[float, float]:
        """Return the interval that holds the truth with probability `level`."""
        error, freedom = self.widest(level)
        half = t_quantile((1 + level) / 2, freedom) * error
        return mean - half, mean + half

    def p(self, mean: float) -> float:
        """Return the two-sided probability of a mean at least this far from 0 when the truth is 0."""
        return max(2 * t_cdf(-abs(mean) / error, freedom) for error, freedom in self.parts)


def spread(table: np.ndarray, random: Sequence[int]) -> Spread | None:
    """Return how exact the mean of a table is; random: its axes that were drawn.

    None where that cannot be known: a random axis of length 1, or a first random axis along which nothing varies.
    Raises ValueError for a table with NaN, or no random axis.
    """
    if not random or not np.isfinite(table).all():
        raise ValueError("a spread needs a whole table and an axis that was drawn")
    if min(table.shape[a] for a in random) < 2:
        return None
    found = [(float(e[0]), float(f[0])) for e, f in spreads(table[None], [a + 1 for a in random])]
    # Rounding leaves a trace where every seed has the same value.
    least = 1e-12 * max(1.0, float(np.abs(table).max()))
    parts = tuple(part for part in found if part[0] > least)
    return Spread(parts) if parts else None


def spreads(tables: np.ndarray, random: Sequence[int]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (standard errors, degrees of freedom) of many tables' means, for each set of the random axes.

    Axis 0 of `tables` counts them. A variance that comes out below 0 is 0; the freedom is never below that of the
    smallest factor of the set.
    """
    axes = tuple(range(1, tables.ndim))
    effects = tables.mean(axis=tuple(a for a in axes if a not in random), keepdims=True)
    parts: dict[tuple[int, ...], tuple[np.ndarray, int]] = {}
    for chosen in _sets(random):
        found = effects.mean(axis=tuple(a for a in random if a not in chosen), keepdims=True)
        for a in chosen:
            found = found - found.mean(axis=a, keepdims=True)
        sizes = [tables.shape[a] for a in chosen]
        squares = (found**2).sum(axis=axes) / math.prod(n * (n - 1) for n in sizes)
        parts[chosen] = squares, math.prod(n - 1 for n in sizes)
    for chosen in _sets(random):
        mine = [(len(a), *part) for a, part in parts.items() if set(a) <= set(chosen)]
        variance = sum(v if size % 2 else -v for size, v, _ in mine)
        scale = sum(v**2 / freedom for _, v, freedom in mine)
        variance, least = np.maximum(variance, 0), min(tables.shape[a] for a in chosen) - 1
        with np.errstate(invalid="ignore", divide="ignore"):
            yield np.sqrt(variance), np.maximum(np.nan_to_num(variance**2 / scale, nan=least), least)


def _sets(axes: Sequence[int]) -> Iterator[tuple[int, ...]]:
    for size in range(1, len(axes) + 1):
        yield from combinations(axes, size)
