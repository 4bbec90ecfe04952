"""A training step on the embedding rows that a run reads / on all 250,002 of XLM-R's; the same model either way.

Usage: python -m benchmarks.compaction [--layers 4] [--length 16] [--steps 24] [--repeats 3] [--record FILE.json]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch

from stilts.model.device import prepare_torch
from stilts.model.encoder import Encoder, EncoderConfig, initialise
from stilts.model.heads import build_head
from stilts.provenance.machine import environment
from stilts.tokens.sequences import Batch
from stilts.train.compaction import train_compact
from stilts.train.loop import Part, train
from stilts.train.work import Work

SETTINGS = {"learning_rate": 1e-4, "warmup_ratio": 0.1, "weight_decay": 0.01, "max_grad_norm": 1.0, "adam_beta1": 0.9}
SETTINGS |= {"adam_beta2": 0.999, "adam_epsilon": 1e-8, "dropout": 0.1, "eval_every": 0, "patience": 1}
WORDS = "embeddings.word_embeddings.weight"


class Sentences:
    """Labelled sentences of `length` sub-words on average, drawn from `used`."""

    choices, whole = 1, False

    def __init__(self, count: int, length: int, used: np.ndarray):
        make = np.random.default_rng(0)
        self.lengths = np.clip(make.gamma(4.0, length / 4, count).round().astype(np.int64), 4, 128)
        self.texts = [make.choice(used, n) for n in self.lengths]
        self.labels = make.integers(0, 3, count)

    def batch(self, items: np.ndarray) -> Batch:
        """Return some sentences and their labels."""
        ids = np.concatenate([self.texts[i] for i in items])
        return Batch(ids, self.lengths[items], {"labels": self.labels[items]}, len(items))


def measure(
    layers: int, length: int, steps: int, repeats: int, vocabulary: int = 250_002, used: int = 12_000, hidden: int = 128
) -> dict:
    """Return CPU seconds a step of both sides, their ratio (medians over repeats, alternating), and how the trained
    models differ; batches of 32. The defaults are the default study's layers and real sub-words a step.
    """
    prepare_torch(1)
    rows = np.sort(np.random.default_rng(1).permutation(vocabulary)[:used])
    items = Sentences(32 * steps, length, rows)
    plan = [(0, np.arange(32 * k, 32 * (k + 1))) for k in range(steps)]
    config = EncoderConfig(vocabulary, hidden, layers, 4, 4 * hidden, 514)
    seconds: dict[str, list[float]] = {"all rows": [], "rows that are read": []}
    states = {}
    for _ in range(repeats):
        for side, trainer in (("all rows", train), ("rows that are read", train_compact)):
            torch.manual_seed(0)
            encoder = Encoder(config)
            initialise(encoder)
            part = Part(
                "sentences",
                items,
                build_head("pair_classification", config, 3, "first", 0.1),
                Work("pair_classification", 3),
                None,
                rows,
            )
            with tempfile.TemporaryDirectory() as folder:
                start = time.process_time()
                trainer(encoder, [part], plan, SETTINGS, Path(folder) / "history.jsonl")
                seconds[side].append((time.process_time() - start) / steps)
            states[side] = encoder.state_dict()
    full, compact = states.values()
    others = [k for k in full if k != WORDS]
    return {
        "row": "compaction",
        "cpu_seconds_a_step": {side: round(median(values), 5) for side, values in seconds.items()},
        "ratio": round(median(a / b for a, b in zip(*seconds.values(), strict=True)), 3),
        "encoder_is_equal": all(torch.equal(full[k], compact[k]) for k in others),
        "largest_difference_of_embeddings": float((full[WORDS] - compact[WORDS]).abs().max()),
        "sizes": {"vocabulary": vocabulary, "read": used, "hidden": hidden, "layers": layers, "length": length},
        "steps": steps,
        "repeats": repeats,
        "machine": environment(),
    }


def main(argv: list[str] | None = None) -> int:
    """Print both sides and their ratio; write the record where asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compaction", description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--length", type=int, default=16, help="mean sub-words of a sentence (MNLI: 39)")
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--record", type=Path, help="file for the figures as JSON")
    args = parser.parse_args(argv)
    found = measure(args.layers, args.length, args.steps, args.repeats)
    for side, seconds in found["cpu_seconds_a_step"].items():
        print(f"{side:>20}: {seconds:.3f} CPU-s a step")
    print(
        f"{found['ratio']:.2f} times as fast; the encoder is {'equal' if found['encoder_is_equal'] else 'NOT equal'}, "
    )
    print(f"embeddings differ by {found['largest_difference_of_embeddings']:.1e} at most")
    if args.record:
        args.record.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return 0 if found["encoder_is_equal"] else 1


if __name__ == "__main__":
    sys.exit(main())
