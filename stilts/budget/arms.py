"""A budget point that can be timed: its encoder and head, and the queries it answers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from stilts.budget.profile import Arm
from stilts.model.checkpoint import load_encoder, load_head
from stilts.model.encoder import Encoder, Layout
from stilts.model.heads import build_head, pool
from stilts.model.quantise import set_precision
from stilts.tokens.dual import DualItems
from stilts.tokens.sequences import Items, token_budget_batches
from stilts.tokens.store import TokenSplit
from stilts.tokens.tokenizer import Tokenizer
from stilts.train.plan import generator

TEXTS = ("text_a", "text_b", "prompt", "choices", "tokens", "question", "context", "source_text", "target_text", "text")
OFFLINE_TOKENS = 8192  # padded tokens of a batch


def make_arm(
    name: str,
    model: Path,
    split: TokenSplit,
    data: Path,
    tokenizer: Tokenizer,
    how: Mapping[str, Any],
    spec: Mapping[str, Any],
    device: torch.device,
) -> Arm:
    """Return a budget point of a target, loaded.

    how: the spec of predict or embed there; spec: queries, labels, layer. Queries are test
    examples of all languages, drawn once for all points.
    """
    encoder, _ = load_encoder(model)
    if spec["layer"]:
        del encoder.layers[int(spec["layer"]) :]
    set_precision(encoder, how["precision"], device)
    encoder.eval().to(device)
    head = _head(split, model, how, spec, encoder)
    chosen = generator(0, "queries").permutation(len(split))[: spec["queries"]]
    queries = [query_of(split, int(e), how, encoder.config.max_length) for e in chosen]
    texts = _texts(data, chosen)
    flat = [s for q in queries for s in q]
    if "layers" in how:  # in retrieval a query is one text
        queries, texts = [[s] for s in flat], [[t] for row in texts for t in row]
    lengths = np.asarray([len(s) for s in flat], np.int64)

    @torch.inference_mode()
    def run(sequences: list[np.ndarray]) -> tuple[float, float]:
        start = time.perf_counter()
        sizes = torch.tensor([len(s) for s in sequences])
        ids = torch.from_numpy(np.concatenate(sequences).astype(np.int64)).to(device)
        if device.type == "cuda":
            torch.cuda.synchronize()
        middle = time.perf_counter()
        layout = Layout(sizes, device)
        head(encoder(ids, layout).float(), layout).cpu()  # waits for a GPU
        return middle - start, time.perf_counter() - middle

    def query(i: int) -> tuple[float, ...]:
        i %= len(queries)
        start = time.perf_counter()
        tokenizer.encode(texts[i])
        seconds = time.perf_counter() - start
        return seconds, *run(queries[i])

    def offline() -> None:
        for batch in token_budget_batches(lengths, OFFLINE_TOKENS):
            run([flat[k] for k in batch])

    return Arm(name, query, offline, len(queries))


def query_of(split: TokenSplit, example: int, how: Mapping[str, Any], longest: int) -> list[np.ndarray]:
    """Return the sequences that one example makes (`count.sequences_of` counts the same)."""
    length = min(how["max_length"], longest)
    if "layers" in how:
        sides = range(2 if split.kind == "bitext_retrieval" else 1)
        parts = [split.segment(example, s)[: length - 2] for s in sides]
        return [np.concatenate(([split.cls], part, [split.sep])) for part in parts]
    if "query_length" in how:
        return [DualItems(split, min(how["query_length"], length), length).sequence(example)]
    items = Items(split, length, min(how["settings"]["doc_stride"], length // 2), np.asarray([example]))
    return [ids for i in range(len(items)) for ids in items.sequences(i)]


def _head(split: TokenSplit, model: Path, how: Mapping[str, Any], spec: Mapping[str, Any], encoder: Encoder) -> Any:
    if "layers" in how:
        return lambda states, layout: pool(states, layout, how["pooling"])
    pooling = how["pooling"] if "query_length" in how else how["settings"]["pooling"]
    outputs = 0 if "query_length" in how else split.outputs(spec["labels"])
    head = build_head(split.kind, encoder.config, outputs, pooling, 0.0)
    load_head(model, head)
    head.eval().to(encoder.device)
    if split.kind != "multiple_choice":
        return head

    def score(states: Tensor, layout: Layout) -> Tensor:
        """A score a sequence: batches are not made of whole examples here."""
        return super(type(head), head).forward(states, layout)

    return score


def _texts(data: Path, chosen: np.ndarray) -> list[list[str]]:
    """Return the texts of some test examples."""
    table = pq.read_table(data / "test.parquet")
    columns = [c for c in TEXTS if c in table.column_names]
    rows = table.select(columns).take(pa.array(chosen)).to_pylist()
    return [[t for v in row.values() for t in (v if isinstance(v, list) else [v]) if t] or [""] for row in rows]
