"""Which items a run sees, in which order: a function of the seed and the sizes alone.

The same seed gives the same order in both arms of a comparison, whatever encoder they start from.
"""

from __future__ import annotations

import math

import numpy as np

Plan = list[tuple[int, np.ndarray]]


def generator(seed: int, purpose: str) -> np.random.Generator:
    """Return an independent random generator for one purpose of one seed."""
    return np.random.Generator(np.random.PCG64([seed, *purpose.encode()]))


def cap_examples(count: int, cap: int, seed: int, purpose: str) -> np.ndarray:
    """Return which of `count` examples are kept under a cap (0: all), sorted."""
    if not cap or count <= cap:
        return np.arange(count)
    return np.sort(generator(seed, f"cap:{purpose}").permutation(count)[:cap])


def epochs_of(count: int, size: int, steps: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Return `steps` batches of `size` items; each pass is a new permutation, its last batch may be short."""
    batches: list[np.ndarray] = []
    while len(batches) < steps:
        order = rng.permutation(count)
        batches += [order[i : i + size] for i in range(0, count, size)]
    return batches[:steps]


def make_plan(counts: list[int], names: list[str], settings: list[dict], seed: int, mixing: dict) -> Plan:
    """Return the steps of a run as (task, items).

    counts: items of each task; settings: its training settings (batch_size, epochs). One task: its epochs, one after
    the other. Several: every step draws one task with probability ~ min(items, cap) (proportional) or
    min(items, cap) ** (1 / temperature), over the sum of the tasks' capped epochs in steps, as jiant's sampler does.
    """
    lengths = [
        math.ceil(s["epochs"] * math.ceil(min(n, mixing["examples_cap"] if len(counts) > 1 else n) / s["batch_size"]))
        for n, s in zip(counts, settings, strict=True)
    ]
    total = sum(lengths)
    if len(counts) == 1:
        draws = np.zeros(total, np.int64)
    else:
        weight = np.minimum(counts, mixing["examples_cap"]).astype(float)
        if mixing["sampling"] == "temperature":
            weight = weight ** (1.0 / mixing["temperature"])
        draws = generator(seed, "tasks").choice(len(counts), size=total, p=weight / weight.sum())
    streams = [
        iter(epochs_of(n, s["batch_size"], int((draws == t).sum()), generator(seed, f"order:{name}")))
        for t, (n, name, s) in enumerate(zip(counts, names, settings, strict=True))
    ]
    return [(int(t), next(streams[t])) for t in draws]
