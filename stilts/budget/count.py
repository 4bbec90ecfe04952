"""What a prediction costs by counting: parameters, bytes, sub-words, operations. Nothing here is measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from stilts.budget.flops import Shape, forward_flops, head_flops, parameters
from stilts.tokens.dual import DualItems
from stilts.tokens.sequences import Items
from stilts.tokens.store import TokenSplit

Row = tuple[str, str, str, float, str, int]  # layer, language, cost, value, unit, examples behind it


class Sequences(NamedTuple):
    """The sequences that the examples of one language make. lengths: [sequences] sub-words; examples: their number."""

    lengths: np.ndarray
    examples: int


def sequences_of(split: TokenSplit, language: str, how: Mapping[str, Any], longest: int) -> Sequences:
    """Return what an encoder reads of one language of a split.

    how: `max_length`, and by kind `settings` (doc_stride) or `query_length`, as the specs of predict and embed have
    them; longest: sub-words that the encoder has positions for. Example: of tuned targets an example of the data, of
    retrieval one text that is embedded (of sentence pairs: both sides).
    """
    rows, length = split.where(language), min(how["max_length"], longest)
    if "layers" in how:
        sides = range(2 if split.kind == "bitext_retrieval" else 1)
        lengths = [min(len(split.segment(int(r), s)), length - 2) + 2 for r in rows for s in sides]
        return Sequences(np.asarray(lengths, np.int64), len(lengths))
    if "query_length" in how:
        dual = DualItems(split, min(how["query_length"], length), length)
        return Sequences(np.asarray([len(dual.sequence(int(r))) for r in rows], np.int64), len(rows))
    items = Items(split, length, min(how["settings"]["doc_stride"], length // 2), rows, how.get("blind", False))
    lengths = [len(ids) for i in range(len(items)) for ids in items.sequences(i)]
    return Sequences(np.asarray(lengths, np.int64), len(rows))


def point_rows(
    split: TokenSplit, how: Mapping[str, Any], shape: Shape, outputs: int, disk: int | None
) -> Iterator[Row]:
    """Yield the counted costs of a target at one budget point.

    how: the spec of predict or embed at the point; shape: of the encoder that runs there; outputs: of the head, a
    state; disk: bytes of the model's folder. Swept targets get a block of rows for each hidden state, whose encoder
    ends there; languages are those of the split.
    """
    languages = sorted(split.languages)
    found = {k: sequences_of(split, k, how, shape.positions - 2) for k in languages}
    for layer in layers_of(how, shape):
        at = "" if layer is None else str(layer)
        cut = shape if layer is None else replace(shape, layers=layer)
        size = parameters(cut) | ({"head": head_parameters(split.kind, shape.hidden, outputs)} if not at else {})
        for part, count in size.items():
            if count:
                yield at, "", f"parameters_{part}", count, "parameters", 0
        if disk is not None:
            yield at, "", "disk", disk, "bytes", 0
        yield at, "", "memory", memory(cut, size.get("head", 0), how["precision"]), "bytes", 0
        blocks = [list(_language_rows(at, k, found[k], split.kind, cut, outputs, how)) for k in languages]
        for rows in blocks:
            yield from rows
        for rows in zip(*blocks, strict=True):
            _, _, cost, _, unit, _ = rows[0]
            yield at, "mean", cost, float(np.mean([r[3] for r in rows])), unit, sum(r[5] for r in rows)


def layers_of(how: Mapping[str, Any], shape: Shape) -> list[int | None]:
    """Return the hidden states that are read: of swept targets those of the sweep, else None for the last."""
    if "layers" not in how:
        return [None]
    return list(range(shape.layers + 1)) if how["layers"] == "all" else sorted(how["layers"])


def _language_rows(
    layer: str, language: str, found: Sequences, kind: str, shape: Shape, outputs: int, how: Mapping[str, Any]
) -> Iterator[Row]:
    lengths, n = found.lengths, found.examples
    slots = np.full(len(lengths), min(how["max_length"], shape.positions - 2))
    yield layer, language, "sequences", len(lengths) / n, "sequences/example", n
    yield layer, language, "tokens", int(lengths.sum()) / n, "sub-words/example", n
    if shape.layers:  # hidden state 0 is a look-up
        for name, sizes in (("flops", lengths), ("flops_slots", slots)):
            work = forward_flops(shape, int(sizes.sum()), int((sizes**2).sum()))
            if not layer:
                read = int(sizes.sum()) if kind in ("token_tagging", "span_extraction") else len(sizes)
                work += head_flops(kind, shape.hidden, read, outputs)
            yield layer, language, name, work / n, "FLOP/example", n


def head_parameters(kind: str, hidden: int, outputs: int) -> int:
    """Return the parameters of a head; outputs: a state."""
    if kind in ("token_tagging", "span_extraction"):
        return (hidden + 1) * outputs
    dense = hidden * (hidden + 1)
    return dense + 1 if kind in ("answer_retrieval", "entity_retrieval") else dense + (hidden + 1) * outputs


def memory(shape: Shape, head: int, precision: str) -> int:
    """Return the bytes of the weights as a precision holds them (`stilts.model.quantise`); heads are in fp32."""
    sizes = parameters(shape)
    if precision in ("fp32", "bf16"):
        width = 4 if precision == "fp32" else 2
        return width * sum(sizes.values()) + 4 * head
    h, f = shape.hidden, shape.ffn
    matrices, outputs = shape.layers * (4 * h * h + 2 * h * f), shape.layers * (5 * h + f)
    rest = sizes["encoder"] - matrices - outputs + sizes["embeddings"]
    # One byte a weight; scale and bias of an output in fp32; norms and embeddings as in fp32, with fp8 in bf16.
    return matrices + 8 * outputs + (4 if precision == "int8" else 2) * rest + 4 * head
