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
from stilts.predict.infer import run_head

SIZES = {"layers": 4, "hidden": 128, "vocabulary": 8000, "length": 39, "languages": 8, "sentences": 200, "repeats": 3}
BATCH, BUDGET = 8, 8192


def measure(
    layers: int, hidden: int, vocabulary: int, length: int, languages: int, sentences: int, repeats: int
) -> dict[str, Any]:
    """Return seconds of both sides, and the largest difference of their logits (shown beside the times)."""
    prepare_torch(1)
    encoder, head, theirs = both_models(config_of(layers, hidden, vocabulary), 0.0)
    theirs.eval()
    items = Sentences(languages * sentences, length, np.arange(5, vocabulary))

    @torch.no_grad()
    def peer() -> np.ndarray:
        logits = []
        for language in np.split(np.arange(len(items)), languages):
            for start in range(0, sentences, BATCH):
                logits.append(theirs(**items.padded(language[start : start + BATCH], LONGEST)).logits.cpu().numpy())
        return np.concatenate(logits)

    def ours() -> np.ndarray:
        return np.stack(run_head(encoder, head, items, BUDGET))

    difference = float(np.abs(peer() - ours()).max())
    return {
        "checked": f"logits differ by {difference:.1e}",
        **alternate({"XTREME's way": peer, "ours": ours}, repeats),
        "goals": {"XTREME's way": ["cpu", 3.2]},
    }


if __name__ == "__main__":
    sys.exit(run_row("evaluation", __doc__, measure, SIZES))
