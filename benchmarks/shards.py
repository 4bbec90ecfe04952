"""Steps of masked-LM pretraining: whole batches in one process, two shards in one process, and a process for each.

The encoder is the default study's, a batch about 512 tokens. What to read is wall time: two cores are at work. A helper
makes its kernels anew, so that few steps gain less.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.compare import alternate, run_row
from stilts.config.mini import PRETRAINING
from stilts.model.device import prepare_torch
from stilts.model.encoder import Encoder, EncoderConfig, Layout, initialise
from stilts.model.heads import IGNORE, MaskedLMHead
from stilts.train.optimizer import AdamW
from stilts.train.pretrain import cut_batch
from stilts.train.shards import Shards

SIZES = {"layers": PRETRAINING["layers"], "tokens": PRETRAINING["batch_tokens"], "steps": 800, "repeats": 3}
SETTINGS = {"adam_beta1": 0.9, "max_grad_norm": 1.0, **PRETRAINING["training"]}
SHORTEST, LONGEST, CLOSE = 10, 48, 1e-4  # tokens of a sequence; losses of many steps, which rounding moves apart


def measure(layers: int, tokens: int, steps: int, repeats: int) -> dict[str, Any]:
    """Return seconds of `steps` steps of all sides, and how their losses and weights differ after them."""
    prepare_torch(1)
    batches = [_batch(tokens, np.random.default_rng(k)) for k in range(steps)]
    fresh = [_Pretraining(layers, steps, *way) for way in ((1, 1), (2, 1), (2, 2))]
    losses = [side.run(batches) for side in fresh]
    equal = losses[1] == losses[2] and all(map(torch.equal, fresh[1].parameters, fresh[2].parameters))
    difference = max(abs(a - b) for a, b in zip(losses[0], losses[2], strict=True))
    names = ("whole batches", "two shards, one process", "ours")
    sides = {name: (lambda side=side: side.run(batches)) for name, side in zip(names, fresh, strict=True)}
    return {
        "checked": f"by one process and by two {'the same bits' if equal else 'OTHER BITS'}; losses of whole batches "
        f"differ by {difference:.1e}",
        "equal": equal and difference < CLOSE,
        **alternate(sides, repeats),
    }


class _Pretraining:
    def __init__(self, layers: int, steps: int, shards: int, processes: int):
        made = PRETRAINING
        config = EncoderConfig(
            made["vocabulary"], made["hidden_size"], layers, made["heads"], made["ffn_size"], made["max_positions"] + 2
        )
        torch.manual_seed(0)
        self.encoder = Encoder(config)
        self.head = MaskedLMHead(config, self.encoder.embeddings.word_embeddings)
        for module in (self.encoder, self.head):
            initialise(module, made["initializer_range"])
        self.parameters = [*self.encoder.parameters(), *self.head.parameters()]
        self.shards, self.processes, self.optimizer = shards, processes, AdamW(self.parameters, 100 * steps, SETTINGS)

    def run(self, batches: list[tuple]) -> list[float]:
        losses = []
        with Shards(self.parameters, self._loss, self.shards, self.processes) as shards:
            for step, batch in enumerate(batches):
                losses.append(shards.backward((1, step), cut_batch(*batch, self.shards)))
                self.optimizer.step()
        return losses

    def _loss(self, ids: np.ndarray, targets: np.ndarray, lengths: np.ndarray, count: int) -> Tensor:
        layout = Layout(torch.from_numpy(lengths))
        return self.head.loss(self.encoder(torch.from_numpy(ids), layout), layout, torch.from_numpy(targets))[0] / count


def _batch(tokens: int, rng: np.random.Generator) -> tuple:
    """Return ids, targets and lengths of a batch, and its number of targets."""
    lengths = rng.integers(SHORTEST, LONGEST, 2 * tokens // (SHORTEST + LONGEST) + 1)
    ids = rng.integers(5, PRETRAINING["vocabulary"], lengths.sum())
    targets = np.where(rng.random(len(ids)) < PRETRAINING["mask_probability"], ids, IGNORE)
    return ids, targets, lengths, int((targets != IGNORE).sum())


if __name__ == "__main__":
    sys.exit(run_row("shards", __doc__, measure, SIZES))
