"""Training with the embedding rows that a run reads; the rest are put back as the full run would leave them.

Most of XLM-R's 250,002 word embeddings never occur in a run's data. Their gradients and moments are zero, so AdamW only
multiplies them by 1 - rate * weight_decay a step. They are taken out before the first step, and out of gradients,
clipping, moments and checkpoints with them; behind the last one they are multiplied by the product. The encoder is the
full run's (bit by bit on one CPU thread where the rows fill whole vectors; else the gradient norm may round otherwise).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stilts.model.encoder import Encoder
from stilts.train.loop import Outcome, Part, train
from stilts.train.optimizer import AdamW
from stilts.train.plan import Plan


class CompactEmbedding(nn.Module):
    """Some rows of an embedding under their old ids; any other id is an error.

    rows: the ids, sorted. Its state is `weight` [rows, hidden], as of an embedding that never had others.
    """

    def __init__(self, whole: nn.Embedding, rows: Tensor):
        super().__init__()
        self.weight = nn.Parameter(whole.weight.detach()[rows])
        places = torch.full((whole.num_embeddings,), -1)
        places[rows] = torch.arange(len(rows))
        self.register_buffer("places", places, persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        return F.embedding(self.places[ids], self.weight)


def train_compact(
    encoder: Encoder, parts: list[Part], plan: Plan, settings: dict[str, Any], history: Path, *rest: Any
) -> Outcome:
    """Train like `stilts.train.loop.train`, which takes the same arguments, on the embedding rows that are read.

    All rows are trained where any may be read (masked LM, whose soft-max writes them all) or none is trained.
    """
    whole = encoder.embeddings.word_embeddings
    anything = [part.name for part in parts if part.sub_words is None]
    if anything or not whole.weight.requires_grad:
        print(f"all embedding rows stay: {f'{anything[0]} reads any' if anything else 'they are frozen'}")
        return train(encoder, parts, plan, settings, history, *rest)
    spare = np.zeros(1, np.int64)  # what stands in the rows behind a batch (stilts.model.layout)
    rows = torch.from_numpy(np.unique(np.concatenate([spare, *(part.sub_words for part in parts)])).astype(np.int64))
    print(f"{len(rows):,} of {whole.num_embeddings:,} embedding rows are read and trained; the rest can only decay")
    encoder.embeddings.word_embeddings = CompactEmbedding(whole, rows)
    outcome = train(encoder, parts, plan, settings, history, *rest)
    trained = encoder.embeddings.word_embeddings.weight.detach()
    shrunk = decay(len(plan), outcome.best_step, settings)
    with torch.no_grad():
        if shrunk != 1.0:
            whole.weight *= shrunk
            encoder.decays.append(shrunk)
        whole.weight[rows] = trained.to(whole.weight.device)
    encoder.embeddings.word_embeddings = whole.to(trained.device)
    return outcome


def decay(steps: int, done: int, settings: dict[str, Any]) -> float:
    """Return what `done` of `steps` optimizer steps leave of a weight that never has a gradient, as a factor.

    Decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2): the product of 1 - rate * weight_decay.
    """
    schedule = AdamW([], steps, settings)
    rates = settings["learning_rate"] * np.asarray([schedule.factor(k) for k in range(done)])
    return float(np.prod(1.0 - rates * settings["weight_decay"]))
