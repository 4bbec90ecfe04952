"""Student's t distribution, and the interval of a mean that it gives.

The distribution function is the regularised incomplete beta function, computed by its continued fraction with Lentz's
algorithm (Press et al., Numerical Recipes, 3rd ed., section 6.4); the quantile inverts it by bisection.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

_TINY = 1e-300
_TERMS = 10_000


def t_cdf(t: float, freedom: float) -> float:
    """Return P(T <= t) of Student's t with `freedom` degrees of freedom."""
    if t * t < freedom:  # the middle, where the tail's argument would round to 1
        return 0.5 + math.copysign(0.5 * incomplete_beta(0.5, freedom / 2, t * t / (freedom + t * t)), t)
    tail = 0.5 * incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t))
    return 1 - tail if t > 0 else tail


def t_quantile(p: float, freedom: float) -> float:
    """Return t with P(T <= t) = p. Raises ValueError unless 0 < p < 1 and freedom > 0."""
    if not 0 < p < 1 or not freedom > 0:
        raise ValueError(f"there is no t quantile of p={p} with {freedom} degrees of freedom")
    if p < 0.5:
        return -t_quantile(1 - p, freedom)
    low, high = 0.0, 1.0
    while t_cdf(high, freedom) < p:
        high *= 2
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if t_cdf(middle, freedom) < p else (low, middle)
    return high


def mean_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float] | None:
    """Return the t interval of the mean of independent values; None for fewer than two, or values without spread."""
    if len(values) < 2 or max(values) == min(values):
        return None
    mean, error = statistics.fmean(values), statistics.stdev(values) / math.sqrt(len(values))
    half = t_quantile((1 + level) / 2, len(values) - 1) * error
    return mean - half, mean + half


def incomplete_beta(a: float, b: float, x: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b) for a, b > 0 and 0 <= x <= 1."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )  # fmt: skip
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(a, b, x) / a
    return 1 - front * _fraction(b, a, 1 - x) / b


def _fraction(a: float, b: float, x: float) -> float:
    """Return the continued fraction of the incomplete beta function."""
    c, d = 1.0, 1 / _away(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for step in (even, odd):
            d, c = 1 / _away(1 + step * d), _away(1 + step / c)
            value *= d * c
        if abs(d * c - 1) < 1e-15:
            return value
    raise ArithmeticError(f"the incomplete beta function of ({a}, {b}, {x}) does not converge")


def _away(value: float) -> float:
    """Keep a denominator away from zero."""
    return value if abs(value) > _TINY else _TINY
