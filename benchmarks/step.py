"""Training steps on the same optimizer batches of 32: XTREME's way, with dynamic padding, and ours.

XTREME's way: two small batches of 16, all padded to 128. Dynamic padding: 32 sentences padded to the longest of them,
as the Trainer of transformers computes them (its loop, not the class itself). Both run transformers' model under
torch's AdamW. On a GPU all sides compute in bf16. Our side trains all rows of its vocabulary.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import torch

from benchmarks.compare import alternate, run_row
from benchmarks.sentences import LONGEST, Sentences, both_models, config_of
from stilts.model.device import prepare_torch
from stilts.model.precision import choose, computing
from stilts.train.loop import Part, _backward
from stilts.train.optimizer import AdamW
from stilts.train.work import Work

SETTINGS = {"learning_rate": 1e-4, "warmup_ratio": 0.0, "weight_decay": 0.01, "max_grad_norm": 1.0, "adam_beta1": 0.9}
SETTINGS |= {"adam_beta2": 0.999, "adam_epsilon": 1e-8}
SIZES = {"layers": 4, "hidden": 128, "vocabulary": 8000, "length": 39, "steps": 8, "repeats": 5}
BATCH = 32


def measure(layers: int, hidden: int, vocabulary: int, length: int, steps: int, repeats: int) -> dict[str, Any]:
    """Return seconds of `steps` steps of all sides, and the largest difference of their losses (without dropout)."""
    prepare_torch(1)
    config = config_of(layers, hidden, vocabulary)
    items = Sentences(BATCH * steps, length, np.arange(5, vocabulary))
    batches = np.split(np.arange(BATCH * steps), steps)
    sides, losses = {}, {}
    for dropout in (0.0, 0.1):
        encoder, head, theirs = both_models(config, dropout)
        precision = choose("auto", encoder.device)
        part = Part("sentences", items, head, Work("pair_classification", 3))
        ours = AdamW([*encoder.parameters(), *head.parameters()], 10**6, SETTINGS)
        adam = torch.optim.AdamW(theirs.parameters(), lr=1e-4, weight_decay=0.01, fused=True)
        for module in (encoder, head, theirs):
            module.train()

        def mine(encoder=encoder, part=part, optimizer=ours, precision=precision) -> list[float]:
            told = []
            for chosen in batches:
                told.append(_backward(encoder, part, chosen, precision))
                optimizer.step()
            return told

        def peer(pieces: int, padded: int | None, theirs=theirs, adam=adam, precision=precision) -> list[float]:
            told = []
            for chosen in batches:
                total = 0.0
                for piece in np.split(chosen, pieces):
                    with computing(precision, theirs.device):
                        loss = theirs(**items.padded(piece, padded)).loss / pieces
                    loss.backward()
                    total += loss.item()
                torch.nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)
                adam.step()
                adam.zero_grad()
                told.append(total)
            return told

        sides = {
            "XTREME's way": lambda peer=peer: peer(2, LONGEST),
            "dynamic padding": lambda peer=peer: peer(1, None),
            "ours": mine,
        }
        if not dropout:
            start = {k: v.clone() for k, v in theirs.state_dict().items()}
            for side, run in sides.items():
                theirs.load_state_dict(start)
                adam.state.clear()
                losses[side] = run()  # ours has weights of its own
    difference = max(np.abs(np.subtract(told, losses["ours"])).max() for told in losses.values())
    return {
        "checked": f"losses of {steps} steps differ by {difference:.1e}",
        **alternate(sides, repeats),
        "goals": {"XTREME's way": ["cpu", 3.0], "dynamic padding": ["cpu", 1.5]},
    }


if __name__ == "__main__":
    sys.exit(run_row("step", __doc__, measure, SIZES))
