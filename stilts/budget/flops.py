"""Work of an XLM-R encoder by formula: parameters and floating-point operations, from its `config.json` alone.

A multiplication and its addition are two operations; matrix products only are counted (the rest is below a per cent),
as `torch.utils.flop_counter` counts eager attention, to which tests hold these formulas equal. It imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Shape:
    """Sizes of an encoder: layers, widths, rows of its three embedding tables."""

    layers: int
    hidden: int
    ffn: int
    vocabulary: int
    positions: int
    types: int = 1


def shape_of(config: Mapping[str, Any], depth: int | str = "full") -> Shape:
    """Return the shape of a `config.json`; depth: layers kept, "full" keeps all."""
    shape = Shape(
        config["num_hidden_layers"],
        config["hidden_size"],
        config["intermediate_size"],
        config["vocab_size"],
        config["max_position_embeddings"],
        config.get("type_vocab_size", 1),
    )
    return shape if depth == "full" else replace(shape, layers=int(depth))


def parameters(shape: Shape) -> dict[str, int]:
    """Return the parameters of the layers (`encoder`) and of the tables with their norm (`embeddings`), no pooler."""
    h, f = shape.hidden, shape.ffn
    layer = 4 * (h * h + h) + (h * f + f) + (f * h + h) + 4 * h  # projections, feed-forward, two norms
    rows = shape.vocabulary + shape.positions + shape.types
    return {"encoder": shape.layers * layer, "embeddings": rows * h + 2 * h}


def forward_flops(shape: Shape, tokens: float, squares: float) -> float:
    """Return the operations of one forward pass of the encoder, without a head.

    tokens: sum of the sequence lengths; squares: sum of their squares (what attention compares). Real lengths give the
    work that data need; lengths of padded slots give what a padded batch does.
    """
    return float(shape.layers * (_linear(shape) * tokens + _mixing(shape) * squares))


def head_flops(kind: str, hidden: int, rows: float, outputs: int) -> float:
    """Return the operations of one forward pass of a head.

    rows: the states it reads: sequences, or (tagging, question answering, masked LM) tokens. outputs: labels; 1 for
    multiple choice, 2 for question answering, the vocabulary for masked LM, 0 for dual encoders.
    """
    dense = 0 if kind in ("token_tagging", "span_extraction") else hidden
    return 2.0 * rows * hidden * (dense + outputs)


def training_flops(shape: Shape, tokens: float, squares: float, frozen: int = 0) -> float:
    """Return the operations of forward and backward passes of the encoder, as it is trained, without a head.

    A trained product costs twice its forward pass again: the gradients of its weights and of its input. frozen: as
    `Encoder.freeze` counts (1: the embeddings, then layers); they have no backward pass, and the lowest trained layer
    needs no gradient of the input of its three projections.
    """
    trained = min(shape.layers, shape.layers + 1 - frozen)
    if trained <= 0:
        return forward_flops(shape, tokens, squares)
    backward = 2 * forward_flops(replace(shape, layers=trained), tokens, squares)
    spared = 6 * shape.hidden * shape.hidden * tokens if frozen else 0
    return forward_flops(shape, tokens, squares) + backward - spared


def head_training_flops(
    kind: str, shape: Shape, rows: float, outputs: int, frozen: int = 0, loss_pairs: float = 0
) -> float:
    """Return the operations of forward and backward passes of a head; arguments as of `head_flops`.

    frozen: as of `training_flops`. A head on an encoder that is frozen throughout needs no gradient of its input, and
    masked LM none of frozen word embeddings, which are its output matrix. loss_pairs: (query, candidate) pairs that
    the loss of a dual encoder compares.
    """
    h = shape.hidden
    forward = head_flops(kind, h, rows, outputs)
    spared = 0.0
    if frozen > shape.layers:
        first = outputs if kind in ("token_tagging", "span_extraction") else h
        spared += 2.0 * rows * h * first
    if frozen and kind == "masked_lm":
        spared += 2.0 * rows * h * outputs
    return 3 * (forward + 2.0 * loss_pairs * h) - spared


def _linear(shape: Shape) -> int:
    return 2 * (4 * shape.hidden * shape.hidden + 2 * shape.hidden * shape.ffn)


def _mixing(shape: Shape) -> int:
    return 2 * 2 * shape.hidden  # queries by keys, weights by values
