"""Training on the embedding rows that a run reads, and on all 250,002 of XLM-R's; the same model either way.

The sizes are the default study's layers and real sub-words a step, in batches of 32.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.compare import alternate, run_row
from benchmarks.sentences import Sentences, both_models, config_of
from benchmarks.training import SETTINGS
from stilts.model.device import prepare_torch
from stilts.train.compaction import train_compact
from stilts.train.loop import Part, train
from stilts.train.work import Work

SIZES = {"layers": 4, "hidden": 128, "vocabulary": 250_002, "read": 12_000, "length": 16, "steps": 24, "repeats": 3}
WHOLE = SETTINGS | {"warmup_ratio": 0.1, "dropout": 0.1, "eval_every": 0, "patience": 1}
BATCH, WORDS, CLOSE = 32, "embeddings.word_embeddings.weight", 1e-7


def measure(
    layers: int, hidden: int, vocabulary: int, read: int, length: int, steps: int, repeats: int
) -> dict[str, Any]:
    """Return seconds of `steps` steps of both sides, and how the models that they train first differ."""
    prepare_torch(1)
    rows = np.sort(np.random.default_rng(1).permutation(vocabulary)[:read])
    items = Sentences(BATCH * steps, length, rows)
    plan = [(0, chosen) for chosen in np.split(np.arange(BATCH * steps), steps)]

    def training(how: Any) -> tuple[Any, Any]:
        encoder, head, _ = both_models(config_of(layers, hidden, vocabulary), WHOLE["dropout"])
        part = Part("sentences", items, head, Work("pair_classification", 3), sub_words=rows)

        def run() -> None:
            torch.manual_seed(0)
            with tempfile.TemporaryDirectory() as folder:
                how(encoder, [part], plan, WHOLE, Path(folder) / "history.jsonl")

        return encoder, run

    (full, all_rows), (compact, ours) = training(train), training(train_compact)
    all_rows(), ours()
    states = full.state_dict(), compact.state_dict()
    equal = all(torch.equal(value, states[1][name]) for name, value in states[0].items() if name != WORDS)
    difference = float((states[0][WORDS] - states[1][WORDS]).abs().max())
    return {
        "checked": f"encoders {'equal bit by bit' if equal else 'DIFFER'}, embeddings differ by {difference:.1e}",
        "equal": equal and difference <= CLOSE,
        **alternate({"all rows": all_rows, "ours": ours}, repeats),
    }


if __name__ == "__main__":
    sys.exit(run_row("compaction", __doc__, measure, SIZES))
