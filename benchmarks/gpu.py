"""XLM-R Large with random weights on a GPU, in bf16: training and evaluation beside their peers, share of the peak.

Usage: python -m benchmarks.gpu [--rows gpu_mnli ...] [--size large|tiny] [--device cuda|cpu] [--records FOLDER]
       [--repeats 5] [--peak 989.4]
Needs torch, transformers, numpy and safetensors. The Trainer needs accelerate besides; without it a bare loop batches
as the Trainer does, and the record says so. `--size tiny --device cpu` tries the plumbing where there is no GPU.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.compare import RECORDS, alternate, keep
from benchmarks.evaluation import compare_predictions
from benchmarks.sentences import Sentences, both_models, config_of
from benchmarks.training import CLOSE, SETTINGS, differ, ours, padded_loop, trainer
from stilts.budget.flops import Shape, training_flops
from stilts.model.device import best_device, prepare_torch
from stilts.model.precision import choose
from stilts.train.loop import Part, _backward
from stilts.train.work import Work

LARGE = {
    "layers": 24,
    "hidden": 1024,
    "vocabulary": 250_002,
    "read": 50_000,
    "steps": 20,
    "sentences": 400,
    "tokens": 12_288,
}
TINY = {"layers": 2, "hidden": 64, "vocabulary": 500, "read": 300, "steps": 2, "sentences": 8, "tokens": 200}
SIZES = {"large": LARGE, "tiny": TINY}
# Mean sub-words of a sentence, and the longest, as of MNLI and of SQuAD's windows.
LIKE = {"gpu_mnli": (39, 128), "gpu_squad": (185, 384)}
BATCH, CHECKED = 32, 4


def train_beside(size: dict[str, int], length: int, longest: int, repeats: int) -> dict[str, Any]:
    """Return seconds of the same optimizer batches by the Trainer and by ours, which compacts the vocabulary."""
    items = Sentences(BATCH * size["steps"], length, np.arange(5, size["read"]), longest)
    batches = np.split(np.arange(BATCH * size["steps"]), size["steps"])
    real = find_spec("accelerate") is not None

    def sides(dropout: float, batches: list[np.ndarray]) -> dict[str, Any]:
        gc.collect()
        encoder, head, theirs = both_models(config_of(size["layers"], size["hidden"], size["vocabulary"]), dropout)
        used = np.unique(np.concatenate(items.texts))
        return {
            "Trainer": (trainer if real else padded_loop)(theirs, items, batches),
            "ours": ours(encoder, head, items, batches, used),
        }

    difference = differ({side: run() for side, run in sides(0.0, batches[:CHECKED]).items()})
    found = alternate(sides(0.1, batches), repeats)
    tokens = int(items.lengths.sum())
    return {
        "checked": f"losses of the first steps differ by {difference:.1e}",
        "equal": difference < CLOSE[choose(SETTINGS["precision"], best_device())],
        "note": "transformers' Trainer" if real else "a bare loop that batches as the Trainer does: no accelerate here",
        **found,
        "figures": {f"tokens a second, {s}": round(tokens / t["wall"]) for s, t in found["seconds"].items()},
    }


def products(size: dict[str, int], repeats: int, peak: float) -> dict[str, Any]:
    """Return the share of the peak (TFLOP a second) that forward and backward passes of one long batch reach."""
    encoder, head, _ = both_models(config_of(size["layers"], size["hidden"], size["vocabulary"]), 0.1)
    items = Sentences(max(1, size["tokens"] // 100), 100, np.arange(5, size["read"]))
    part, precision = Part("sentences", items, head, Work("pair_classification", 3)), choose("auto", encoder.device)
    encoder.train()

    def run() -> None:
        for _ in range(size["steps"]):
            encoder.zero_grad(set_to_none=True), head.zero_grad(set_to_none=True)
            _backward(encoder, part, np.arange(len(items)), precision)

    found = alternate({"ours": run}, repeats)
    shape = Shape(size["layers"], size["hidden"], 4 * size["hidden"], size["vocabulary"], 514)
    flops = size["steps"] * training_flops(shape, float(items.lengths.sum()), float((items.lengths**2).sum()))
    reached = flops / found["seconds"]["ours"]["wall"] / 1e12
    figures = {"tokens at once": int(items.lengths.sum()), "TFLOP a second": round(reached, 3)}
    return {
        "checked": "nothing to compare",
        **found,
        "figures": figures | {"share of the peak": round(reached / peak, 4)},
    }


def measured(row: str, size: dict[str, int], repeats: int, peak: float) -> dict[str, Any]:
    """Return what a row finds."""
    if row in LIKE:
        return train_beside(size, *LIKE[row], repeats)
    if row == "gpu_products":
        return products(size, repeats, peak)
    shape = size["layers"], size["hidden"], size["vocabulary"]
    half = choose("auto", best_device()) == "bf16"
    return compare_predictions(config_of(*shape), 39, 8, size["sentences"], repeats, half)


def main(argv: list[str] | None = None) -> int:
    """Measure rows one after the other; the exit status is the worst of theirs."""
    rows = [*LIKE, "gpu_evaluation", "gpu_products"]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", choices=rows, default=rows)
    parser.add_argument("--size", choices=SIZES, default="large")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--records", type=Path, default=RECORDS, help="folder for the records")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peak", type=float, default=989.4, help="TFLOP a second of the GPU (default: H100, bf16)")
    args = parser.parse_args(argv)
    if args.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    elif not torch.cuda.is_available():
        print("error: there is no GPU here; `--size tiny --device cpu` tries the plumbing", file=sys.stderr)
        return 2
    prepare_torch(1)
    command = " ".join(["python -m benchmarks.gpu", *(argv if argv is not None else sys.argv[1:])])
    status = 0
    for row in args.rows:
        start = time.perf_counter()
        found = measured(row, SIZES[args.size], args.repeats, args.peak)
        sizes = {**SIZES[args.size], "repeats": args.repeats}
        status |= keep(row, __doc__, found, sizes, command, args.records / f"{row}.json")
        print(f"{row}: {time.perf_counter() - start:.0f} s in all")
        gc.collect()
    return status


if __name__ == "__main__":
    sys.exit(main())
