"""The runs of a target: every backbone x recipe x seed, then its controls."""

from __future__ import annotations

from collections.abc import Sequence

# The derived arm whose targets each take the recipe that is best on dev data.
BEST = "best-per-target"
# A tagger and a retriever have no second input that could be hidden.
BLINDABLE = ("pair_classification", "multiple_choice", "span_extraction")


def arms_of(
    kind: str,
    backbones: Sequence[str],
    recipes: Sequence[str],
    seeds: Sequence[int],
    controls: Sequence[str],
    control_seeds: Sequence[int],
) -> list[tuple[str, str, int]]:
    """Return (backbone, recipe or control, seed) of every run of a target of some kind, controls last."""
    runs = [(b, r, s) for b in backbones for r in recipes for s in seeds]
    fitting = [c for c in controls if c != "blind" or kind in BLINDABLE]
    return runs + [(b, c, s) for b in backbones for c in fitting for s in control_seeds]


def runs_of(
    kind: str,
    points: Sequence[str],
    backbones: Sequence[str],
    recipes: Sequence[str],
    seeds: Sequence[int],
    controls: Sequence[str],
    control_seeds: Sequence[int],
) -> list[tuple[str, str, int, str]]:
    """Return (backbone, recipe or control, seed, budget point) of every score of a target of some kind.

    Controls run at the first point alone: what they bar, no cheaper point may pass either.
    """
    arms = arms_of(kind, backbones, recipes, seeds, controls, control_seeds)
    return [(b, r, s, p) for b, r, s in arms for p in (points if r in recipes else points[:1])]
