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


def task_shares(counts: list[int], mixing: dict) -> np.ndarray:
    """Return the probability of each task in a step: jiant's formula (its `task_sampler.py` and `configurator.py`).

    counts: items of each task. mixing: sampling, examples_cap, temperature. `proportional`: ~ min(items, cap);
    `temperature`: ~ min(items, cap) ** (1 / temperature).
    """
    weight = np.minimum(counts, mixing["examples_cap"]).astype(float)
    if mixing["sampling"] == "temperature":
        weight = weight ** (1.0 / mixing["temperature"])
    return weight / weight.sum()


def task_steps(count: int, cap: int, settings: dict) -> int:
    """Return the steps a task adds to a run: its epochs over min(items, cap), a part of an epoch rounded up."""
    return math.ceil(settings["epochs"] * math.ceil(min(count, cap) / settings["batch_size"]))


def make_plan(counts: list[int], names: list[str], settings: list[dict], seed: int, mixing: dict) -> Plan:
    """Return the steps of a run as (task, items).

    counts: items of each task; settings: its training settings (batch_size, epochs). One task: its epochs, one after
    the other. Several: every step draws one task by `task_shares`, as many steps as the tasks' capped epochs make.
    """
    alone = len(counts) == 1
    caps = counts if alone else [mixing["examples_cap"]] * len(counts)
    total = sum(task_steps(n, cap, s) for n, cap, s in zip(counts, caps, settings, strict=True))
    draws = np.zeros(total, np.int64)
    if not alone:
        draws = generator(seed, "tasks").choice(len(counts), size=total, p=task_shares(counts, mixing))
    streams = [
        iter(epochs_of(n, s["batch_size"], int((draws == t).sum()), generator(seed, f"order:{name}")))
        for t, (n, name, s) in enumerate(zip(counts, names, settings, strict=True))
    ]
    return [(int(t), next(streams[t])) for t in draws]


def with_text(plan: Plan, rate: float, batch_size: int, task: int, seed: int) -> Plan:
    """Return a plan with masked-LM steps at random places, one task a step: `rate` of all steps, to the nearest step.

    The steps of the tasks stay as many and in the order they had. task: the number of the text among the tasks. Its
    items are numbered through: step k takes items k * batch_size to (k + 1) * batch_size.
    """
    extra = text_steps(len(plan), rate)
    places = set(generator(seed, "co-training").permutation(len(plan) + extra)[:extra].tolist())
    own, text = iter(plan), (np.arange(k * batch_size, (k + 1) * batch_size) for k in range(extra))
    return [(task, next(text)) if step in places else next(own) for step in range(len(plan) + extra)]


def text_steps(steps: int, rate: float) -> int:
    """Return how many masked-LM steps make up `rate` of all steps beside `steps` of other tasks."""
    return round(steps * rate / (1.0 - rate))
