"""Sentence embeddings from any hidden state, all layers in one pass, the encoder cut at the deepest one read."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from stilts.errors import UserError
from stilts.model.device import best_device
from stilts.model.encoder import Encoder, Layout
from stilts.model.heads import pool
from stilts.predict.infer import in_batches
from stilts.progress import Progress
from stilts.tokens.store import TokenSplit


def resolve_layers(wanted: list[int] | str, encoder: Encoder) -> list[int]:
    """Return hidden-state numbers, sorted; raises UserError for one the encoder does not have."""
    depth = encoder.config.num_hidden_layers
    layers = list(range(depth + 1)) if wanted == "all" else sorted(wanted)
    if layers and layers[-1] > depth:
        raise UserError(
            f"retrieval.layers asks for hidden state {layers[-1]}; the encoder has {depth} layers (0 is the embeddings)"
        )
    return layers


@torch.no_grad()
def embed(
    encoder: Encoder,
    split: TokenSplit,
    segment: int,
    rows: np.ndarray,
    layers: list[int],
    spec: dict,
    budget: int,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Return pooled states [layers, rows, hidden] float32 of one segment of the examples `rows`.

    spec: pooling ("mean" over all sub-words with <s> and </s>, or "first"), max_length. out: where to write them (a
    file mapped into memory, for corpora that are too large).
    """
    encoder.eval().to(best_device())
    room = min(spec["max_length"], encoder.config.max_length) - 2
    sequences = [np.concatenate(([split.cls], split.segment(int(r), segment)[:room], [split.sep])) for r in rows]
    lengths = np.asarray([len(s) for s in sequences], np.int64)
    if out is None:
        out = np.zeros((len(layers), len(rows), encoder.config.hidden_size), np.float32)
    where = {layer: i for i, layer in enumerate(layers)}
    with Progress("embed", len(rows)) as progress:

        def run(chosen: np.ndarray) -> None:
            layout = Layout(torch.from_numpy(lengths[chosen]), encoder.device)
            ids = torch.from_numpy(np.concatenate([sequences[i] for i in chosen]).astype(np.int64)).to(encoder.device)

            def keep(k: int, states: Tensor) -> None:
                if k in where:
                    out[where[k], chosen] = pool(states.float(), layout, spec["pooling"]).cpu().numpy()

            encoder(ids, layout, keep, layers[-1])
            progress.update(len(chosen))

        in_batches(lengths, budget, 1, run)
    return out
