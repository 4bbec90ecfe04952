"""Sentence vectors of hidden state 14 of 24: the encoder run to its end, against ours, cut where it is read."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks.compare import alternate, run_row
from benchmarks.sentences import Sentences, both_models, config_of
from stilts.model.device import prepare_torch
from stilts.predict.embed import embed

SIZES = {"layers": 24, "layer": 14, "hidden": 256, "length": 32, "sentences": 400, "repeats": 3}


def measure(layers: int, layer: int, hidden: int, length: int, sentences: int, repeats: int) -> dict[str, Any]:
    """Return seconds of both sides, and whether their vectors are the same bytes."""
    prepare_torch(1)
    encoder, *_ = both_models(config_of(layers, hidden, 8000), 0.0)
    items = Sentences(sentences, length, np.arange(5, 8000))
    split = SimpleNamespace(cls=0, sep=2, segment=lambda row, _: items.texts[row])
    spec, rows = {"pooling": "mean", "max_length": 128}, np.arange(sentences)

    def run(wanted: list[int]) -> np.ndarray:
        return embed(encoder, split, 0, rows, wanted, spec, 8192)[0]

    same = np.array_equal(run([layer, layers]), run([layer]))
    return {
        "equal": same,
        "checked": "the same vectors, byte for byte" if same else "the vectors DIFFER",
        **alternate({"all layers": lambda: run([layer, layers]), "ours": lambda: run([layer])}, repeats),
    }


if __name__ == "__main__":
    sys.exit(run_row("retrieval", __doc__, measure, SIZES))
