"""What a t test can find: its power for a true difference, and the difference that it finds four times in five."""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

from stilts.stats.student import t_quantile

WANTED = 0.8  # the power that "detectable" means
_NORMAL = NormalDist()
_STEPS = 400  # intervals of Simpson's rule


def noncentral_t_cdf(t: float, freedom: float, shift: float) -> float:
    """Return P((Z + shift) / sqrt(C / freedom) <= t), Z standard normal, C chi-squared with `freedom` degrees.

    Integrates P(Z <= t u - shift) over the density of u = sqrt(C / freedom) by Simpson's rule on u = exp(x), with six
    decimals; of many degrees of freedom u is 1.
    """
    if freedom > 1e5:
        return _NORMAL.cdf(t - shift)
    log_constant = math.log(2) + freedom / 2 * math.log(freedom / 2) - math.lgamma(freedom / 2)
    width = 12 / math.sqrt(2 * freedom)
    low, high = -min(width * 2.5, 40.0), width
    total, step = 0.0, (high - low) / _STEPS
    for k in range(_STEPS + 1):
        x = low + k * step
        density = math.exp(log_constant + freedom * x - freedom / 2 * math.exp(2 * x))
        total += (1 if k in (0, _STEPS) else 4 if k % 2 else 2) * density * _NORMAL.cdf(t * math.exp(x) - shift)
    return min(1.0, max(0.0, total * step / 3))


def power(effect: float, error: float, freedom: float, alpha: float) -> float:
    """Return the probability that a two-sided t test at `alpha` finds a true difference of `effect`."""
    edge, shift = t_quantile(1 - alpha / 2, freedom), abs(effect) / error
    return 1 - noncentral_t_cdf(edge, freedom, shift) + noncentral_t_cdf(-edge, freedom, shift)


def detectable(error: float, freedom: float, alpha: float) -> float:
    """Return the true difference that a two-sided t test at `alpha` finds with probability 0.8."""
    return error * _detectable(round(freedom, 6), alpha)


@lru_cache(maxsize=4096)
def _detectable(freedom: float, alpha: float) -> float:
    low, high = 0.0, 2.0
    while power(high, 1.0, freedom, alpha) < WANTED:
        low, high = high, high * 2
    for _ in range(24):
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle, 1.0, freedom, alpha) >= WANTED else (middle, high)
    return high
