"""Training steps on the same optimizer batches of 32: the Trainer of transformers, and ours.

The Trainer pads each batch to its longest sentence and has its default optimizer; it needs the package accelerate,
which the project does not: `pip install --target FOLDER --no-deps accelerate psutil packaging`, then FOLDER in
PYTHONPATH. Each of its runs sets itself up again, as each run of a user would. Our side trains all rows of its
vocabulary.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Any

import numpy as np

from benchmarks.compare import alternate, run_row
from benchmarks.sentences import Sentences, both_models, config_of
from benchmarks.training import CLOSE, differ, ours, trainer
from stilts.model.device import prepare_torch

SIZES = {"layers": 4, "hidden": 128, "vocabulary": 8000, "length": 39, "steps": 24, "repeats": 5}
BATCH = 32


def measure(layers: int, hidden: int, vocabulary: int, length: int, steps: int, repeats: int) -> dict[str, Any]:
    """Return seconds of `steps` steps of both sides, and the largest difference of their losses (without dropout)."""
    if not find_spec("accelerate"):
        sys.exit(__doc__.split("\n\n")[1])
    prepare_torch(1)
    items = Sentences(BATCH * steps, length, np.arange(5, vocabulary))
    batches = np.split(np.arange(BATCH * steps), steps)

    def sides(dropout: float) -> dict[str, Any]:
        encoder, head, theirs = both_models(config_of(layers, hidden, vocabulary), dropout)
        return {"Trainer": trainer(theirs, items, batches), "ours": ours(encoder, head, items, batches)}

    difference = differ({side: run() for side, run in sides(0.0).items()})
    return {
        "checked": f"losses of {steps} steps differ by {difference:.1e}",
        "equal": difference < CLOSE["fp32"],
        **alternate(sides(0.1), repeats),
    }


if __name__ == "__main__":
    sys.exit(run_row("trainer", __doc__, measure, SIZES))
