"""Vectors of a dual encoder, and its score on source-language validation data."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from stilts.model.device import best_device
from stilts.model.encoder import Encoder, Layout
from stilts.predict.infer import in_batches
from stilts.progress import Progress
from stilts.tokens.dual import DualItems

TOP = 20


@torch.no_grad()
def encode(
    encoder: Encoder,
    head: nn.Module,
    items: DualItems,
    examples: np.ndarray,
    budget: int,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Return vectors of length 1 of queries or candidates, [examples, hidden] float32 in their order.

    out: where to write them (a file mapped into memory, for sets that are too large); budget: padded tokens at once.
    """
    encoder.eval().to(best_device())
    head.eval().to(encoder.device)
    out = np.zeros((len(examples), encoder.config.hidden_size), np.float32) if out is None else out
    lengths = np.asarray([len(items.sequence(int(e))) for e in examples], np.int64)
    with Progress("embed", len(examples)) as progress:

        def run(chosen: np.ndarray) -> None:
            layout = Layout(torch.from_numpy(lengths[chosen]), encoder.device)
            ids = np.concatenate([items.sequence(int(examples[i])) for i in chosen]).astype(np.int64)
            states = encoder(torch.from_numpy(ids).to(encoder.device), layout).float()
            out[chosen] = head(states, layout).cpu().numpy()
            progress.update(len(chosen))

        in_batches(lengths, budget, 1, run)
    return out


def dev_rank_score(encoder: Encoder, head: nn.Module, items: DualItems, queries: np.ndarray, budget: int) -> float:
    """Return MRR@20 in percent of queries among the right candidates of all of them.

    With one right candidate a query this is mAP@20 as well. The other candidates of the split are left out: embedding
    them at every evaluation would cost more than the training between two.
    """
    gold = items.split.gold[queries]
    candidates, place = np.unique(gold, return_inverse=True)
    scores = encode(encoder, head, items, queries, budget) @ encode(encoder, head, items, candidates, budget).T
    right = place.reshape(-1, 1)
    own = np.take_along_axis(scores, right, axis=1)
    # As stilts.metrics.ranking ranks, said once more so that no vector depends on how scores are made.
    before = (scores > own) | ((scores == own) & (np.arange(len(candidates)) < right))
    ranks = 1 + before.sum(axis=1)
    return 100.0 * float(np.where(ranks <= TOP, 1.0 / ranks, 0.0).mean())
