"""Several tests at once: p values that keep the chance of any false finding at the level of one test."""

from __future__ import annotations

from collections.abc import Sequence


def holm(values: Sequence[float | None]) -> list[float | None]:
    """Return Holm's adjusted p values (Scandinavian Journal of Statistics 6, 1979), in the order given.

    None stands for a test that could not be made: it stays None and counts for nothing.
    """
    known = sorted((p, k) for k, p in enumerate(values) if p is not None)
    adjusted: list[float | None] = [None] * len(values)
    highest = 0.0
    for rank, (p, k) in enumerate(known):
        highest = max(highest, min(1.0, (len(known) - rank) * p))
        adjusted[k] = highest
    return adjusted
