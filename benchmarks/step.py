"""Training steps on the same optimizer batches of 32: XTREME's way, with dynamic padding, and ours.

XTREME's way: two small batches of 16, all padded to 128. Dynamic padding: 32 sentences padded to the longest of them,
in a bare loop (the Trainer itself: benchmarks.trainer). Both run transformers' model under torch's AdamW. Our side
trains all rows of its vocabulary.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from benchmarks.compare import alternate, run_row
from benchmarks.sentences import LONGEST, Sentences, both_models, config_of
from benchmarks.training import CLOSE, differ, ours, padded_loop
from stilts.model.device import prepare_torch

SIZES = {"layers": 4, "hidden": 128, "vocabulary": 8000, "length": 39, "steps": 8, "repeats": 5}
BATCH = 32


def measure(layers: int, hidden: int, vocabulary: int, length: int, steps: int, repeats: int) -> dict[str, Any]:
    """Return seconds of `steps` steps of all sides, and the largest difference of their losses (without dropout)."""
    prepare_torch(1)
    items = Sentences(BATCH * steps, length, np.arange(5, vocabulary))
    batches = np.split(np.arange(BATCH * steps), steps)

    def sides(dropout: float) -> dict[str, Any]:
        made = [both_models(config_of(layers, hidden, vocabulary), dropout) for _ in range(2)]
        return {
            "XTREME's way": padded_loop(made[0][2], items, batches, 2, LONGEST),
            "dynamic padding": padded_loop(made[1][2], items, batches),
            "ours": ours(*made[0][:2], items, batches),
        }

    difference = differ({side: run() for side, run in sides(0.0).items()})
    return {
        "checked": f"losses of {steps} steps differ by {difference:.1e}",
        "equal": difference < CLOSE["fp32"],
        **alternate(sides(0.1), repeats),
    }


if __name__ == "__main__":
    sys.exit(run_row("step", __doc__, measure, SIZES))
