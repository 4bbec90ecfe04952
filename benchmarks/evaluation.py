"""Test sets of all languages: batches of 8 padded to 128, language by language, against ours: one sorted queue.

The peer is XTREME's way of predicting with transformers' model, without its start of a process a language.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import torch

from benchmarks.compare import alternate, run_row
from benchmarks.sentences import LONGEST, Sentences, both_models, config_of
from stilts.model.device import prepare_torch
from stilts.model.encoder import EncoderConfig
from stilts.predict.infer import run_head

SIZES = {"layers": 4, "hidden": 128, "vocabulary": 8000, "length": 39, "languages": 8, "sentences": 200, "repeats": 3}
BATCH, BUDGET = 8, 8192
CLOSE, HALF_CLOSE = 1e-5, 2e-2  # logits are of the order of 0.1


def measure(
    layers: int, hidden: int, vocabulary: int, length: int, languages: int, sentences: int, repeats: int
) -> dict[str, Any]:
    """Return seconds of both sides, and the largest difference of their logits."""
    prepare_torch(1)
    return compare_predictions(config_of(layers, hidden, vocabulary), length, languages, sentences, repeats)


def compare_predictions(
    config: EncoderConfig, length: int, languages: int, sentences: int, repeats: int, half: bool = False
) -> dict[str, Any]:
    """Return what `measure` does for an encoder; half: in bf16."""
    encoder, head, theirs = both_models(config, 0.0)
    theirs.eval()
    if half:
        encoder.bfloat16(), theirs.bfloat16()
    items = Sentences(languages * sentences, length, np.arange(5, config.vocab_size))

    @torch.no_grad()
    def peer() -> np.ndarray:
        logits = []
        for language in np.split(np.arange(len(items)), languages):
            for start in range(0, sentences, BATCH):
                batch = items.padded(language[start : start + BATCH], LONGEST)
                logits.append(theirs(**batch).logits.float().cpu().numpy())
        return np.concatenate(logits)

    def ours() -> np.ndarray:
        return np.stack(run_head(encoder, head, items, BUDGET))

    difference = float(np.abs(peer() - ours()).max())
    return {
        "checked": f"logits differ by {difference:.1e}",
        "equal": difference < (HALF_CLOSE if half else CLOSE),
        **alternate({"XTREME's way": peer, "ours": ours}, repeats),
    }


if __name__ == "__main__":
    sys.exit(run_row("evaluation", __doc__, measure, SIZES))
