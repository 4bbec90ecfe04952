"""Latencies as `profile_budget` takes them, against 10,000 queries; five queries without warm-up beside.

The reference answers the same queries again and again in the same process, fifteen of its own after each of ours, so
that neither which sentences were drawn nor how fast the machine was at that minute differs. Five queries of a model
that was just made, the first of them included, are what common tools report percentiles of. Also: how far two identical
arms differ in CPU time.
"""

from __future__ import annotations

import sys
import time
from statistics import median
from typing import Any

import numpy as np
import torch

from benchmarks.compare import run_row
from benchmarks.sentences import LABELS, Sentences, config_of
from stilts.budget.profile import NOISY, WARM_UP, Arm, latencies, measure_queries
from stilts.model.device import best_device, prepare_torch
from stilts.model.encoder import Encoder, Layout, initialise
from stilts.model.heads import build_head

SIZES = {
    "layers": 4,
    "hidden": 128,
    "vocabulary": 8000,
    "length": 39,
    "queries": 662,
    "reference": 10_000,
    "repeats": 5,
}
PERCENTS = (50, 90, 99)


def arm_of(layers: int, hidden: int, vocabulary: int, sentences: Sentences) -> Arm:
    """Return an arm with a model made now; a query goes from sub-words on the host to logits there."""
    config, device = config_of(layers, hidden, vocabulary), best_device()
    torch.manual_seed(0)
    encoder, head = Encoder(config), build_head("pair_classification", config, LABELS, "first", 0.0)
    initialise(encoder)
    for module in (encoder, head):
        module.eval().to(device)

    @torch.inference_mode()
    def query(i: int) -> tuple[float, ...]:
        start = time.perf_counter()
        ids = torch.from_numpy(sentences.texts[i]).to(device)
        layout = Layout(torch.tensor([len(ids)]), device)
        head(encoder(ids, layout).float(), layout).cpu()
        return 0.0, 0.0, time.perf_counter() - start

    return Arm("x", query, lambda: None, len(sentences))


def measure(
    layers: int, hidden: int, vocabulary: int, length: int, queries: int, reference: int, repeats: int
) -> dict[str, Any]:
    """Return the seconds of 1,000 queries of all sides, and how far their percentiles are from the reference's."""
    prepare_torch(1)
    sentences = Sentences(queries // 2, length, np.arange(5, vocabulary))
    steady, each, many = arm_of(layers, hidden, vocabulary, sentences), round(reference / queries), []

    def others(i: int) -> tuple[float, ...]:
        took = [sum(steady.query((each * i + k) % len(sentences))) for k in range(each)]
        many.extend(took)
        return 0.0, 0.0, sum(took)

    sides: dict[str, list[np.ndarray]] = {"the reference": [], "five queries": [], "ours": []}
    cpu: dict[str, list[float]] = {side: [] for side in sides}
    noisy: list[bool] = []
    twins: dict[int, list[float]] = {queries: [], 64: []}
    for _ in range(repeats):
        beside = Arm("the reference", others, lambda: None, len(sentences))
        many.clear()
        for n, arms in ((queries, [steady, beside]), (64, [steady])):
            steady.seconds, steady.cpu, steady.waited = [[], []], [0.0, 0.0], 0.0
            measure_queries(arms, n)
            twins[n].append(max(steady.cpu) / min(steady.cpu) - 1)
            if n == queries:
                sides["ours"].append(_percentiles([sum(q) for twin in steady.seconds for q in twin]))
                sides["the reference"].append(_percentiles(many[WARM_UP * each :]))
                cpu["ours"].append(sum(steady.cpu) / n)
                cpu["the reference"].append(sum(beside.cpu) / n / each)
                noisy.append("noisy" in latencies(steady.seconds, steady.cpu, steady.waited)[0].note)
        cold = arm_of(layers, hidden, vocabulary, sentences)
        start = time.process_time()
        sides["five queries"].append(_percentiles([sum(cold.query(i)) for i in range(5)]))
        cpu["five queries"].append((time.process_time() - start) / 5)
    truth = np.asarray(sides["the reference"])
    errors = {side: np.abs(np.asarray(sides[side]) / truth - 1) for side in ("five queries", "ours")}
    seconds = {s: {"cpu": 1e3 * median(c), "wall": 1e3 * float(np.median(sides[s], axis=0)[0])} for s, c in cpu.items()}
    ours = seconds["ours"]
    figures = {
        f"error of p{p}, {side}, {what}": round(float(of(errors[side][:, k])), 4)
        for side in errors
        for k, p in enumerate(PERCENTS)
        for what, of in (("median", np.median), ("largest", np.max))[: 1 + (side == "ours")]
    }
    figures["runs that call the machine too noisy"] = sum(noisy)
    for n, differences in twins.items():
        name = "CPU time of two identical arms" + (f", {n} queries" if n != queries else "")
        figures[f"{name}, median difference"] = round(median(differences), 4)
        figures[f"{name}, share within {NOISY:.0%}"] = round(float(np.mean(np.asarray(differences) <= NOISY)), 3)
    turns = {s: {"cpu": cpu[s], "wall": [percentiles[0] for percentiles in sides[s]]} for s in sides}
    spread = {
        s: {
            c: [round(float(end(np.divide(t, turns["ours"][c]))), 3) for end in (np.min, np.max)] for c, t in of.items()
        }
        for s, of in turns.items()
        if s != "ours"
    }
    return {
        "checked": f"{repeats} times {queries} queries against {each * queries} of a reference between them",
        "seconds": {s: {c: round(v, 4) for c, v in of.items()} for s, of in seconds.items()},
        "ratios": {s: {c: round(v / ours[c], 3) for c, v in of.items()} for s, of in seconds.items() if s != "ours"},
        "spread": spread,
        "repeats": repeats,
        "figures": figures,
    }


def _percentiles(seconds: list[float]) -> np.ndarray:
    return np.percentile(seconds, PERCENTS)


if __name__ == "__main__":
    sys.exit(run_row("profiling", __doc__, measure, SIZES))
