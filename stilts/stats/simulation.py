"""How often the interval of stilts/stats/crossed.py misses the truth, by simulation; the naive bootstrap beside it.

Two arms are scored with the same seeds, in the same languages, on the same examples, while the true difference of
what is random is zero. What both arms share (a seed's data order, a hard language, a hard example) cancels in the
paired difference and is drawn all the same, so that a method that forgets to pair is caught.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from stilts.stats.crossed import spreads
from stilts.stats.student import t_quantile

SEED, LANGUAGE, EXAMPLES = 1, 2, 3  # axes; 0 counts the simulated studies
BLOCKS = 20


class Components(NamedTuple):
    """Standard deviations, in points of the mean over all languages and examples with one seed, of each arm.

    shared: what a seed does to both arms; seed: what it does to one; language and examples: how the arm suits each
    language, each block of examples; crossed: what is left in each crossing of two or three of them, each.
    collapse: share of the runs that fail and lose 20 points.
    """

    seed: float = 1.0
    examples: float = 1.0
    language: float = 0.0
    crossed: float = 0.5
    shared: float = 2.0
    collapse: float = 0.0


def draw(
    rng: np.random.Generator, how: Components, runs: int, seeds: int, languages: int, random: Sequence[int]
) -> np.ndarray:
    """Return paired differences (runs, seeds, languages, blocks) whose true mean over the random axes is 0.

    Effects of fixed factors alone are given mean 0, because their mean would be part of the truth.
    """
    shape = (runs, seeds, languages, BLOCKS)

    def effect(deviation: float, *axes: int) -> np.ndarray:
        size = [n if a in (0, *axes) else 1 for a, n in enumerate(shape)]
        found = rng.standard_normal(size) * deviation * np.sqrt(np.prod([shape[a] for a in axes if a != SEED]))
        return found if set(axes) & set(random) else found - found.mean(axis=axes, keepdims=True)

    def arm() -> np.ndarray:
        scores = effect(how.seed, SEED) + effect(how.language, LANGUAGE) + effect(how.examples, EXAMPLES)
        for axes in ((SEED, LANGUAGE), (SEED, EXAMPLES), (LANGUAGE, EXAMPLES), (SEED, LANGUAGE, EXAMPLES)):
            scores = scores + effect(how.crossed, *axes)
        if how.collapse:
            scores = scores - 20 * (rng.random((runs, seeds, 1, 1)) < how.collapse)
        return scores

    both = effect(how.shared, SEED) + effect(5.0, LANGUAGE, EXAMPLES)
    return (arm() + both) - (arm() + both)


def miss_rate(differences: np.ndarray, random: Sequence[int], alpha: float = 0.05) -> float:
    """Return the share of simulated studies whose interval of the mean difference does not hold 0."""
    halves = [_quantiles(freedom, alpha) * errors for errors, freedom in spreads(differences, random)]
    return float((np.abs(differences.mean(axis=(1, 2, 3))) > np.max(halves, axis=0)).mean())


def bootstrap_miss_rate(
    rng: np.random.Generator, differences: np.ndarray, alpha: float = 0.05, resamples: int = 400
) -> float:
    """Return the same for the percentile interval over resampled seeds and examples (the naive multi-bootstrap)."""
    table = differences.mean(axis=LANGUAGE)
    seeds, blocks = (rng.multinomial(n, [1 / n] * n, resamples) / n for n in table.shape[1:])
    means = np.einsum("bs,rsk,bk->rb", seeds, table, blocks, optimize=True)
    low, high = np.quantile(means, [alpha / 2, 1 - alpha / 2], axis=1)
    return float(((low > 0) | (high < 0)).mean())


@lru_cache(maxsize=4)
def _curve(alpha: float) -> tuple[np.ndarray, np.ndarray]:
    grid = np.exp(np.linspace(0, np.log(5000), 500))
    return np.log(grid), np.array([t_quantile(1 - alpha / 2, float(x)) for x in grid])


def _quantiles(freedom: np.ndarray, alpha: float) -> np.ndarray:
    """Return t quantiles by a table that is closer than 1 in 1,000."""
    return np.interp(np.log(freedom), *_curve(alpha))
