"""Embed every sentence, query and candidate of a retrieval target with one encoder load.

Usage: python -m scripts.embed --spec JSON --model models/intermediate/mini/mnli/s1/manifest.json
       --tokens tokens/mini/tatoeba/manifest.json --output embeddings/.../manifest.json
Dual encoders also take --dev-tokens, where their source-language validation data lie; a compact model takes --base, the
manifest of the encoder that it is the difference to.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from stilts.model.checkpoint import load_encoder, load_head
from stilts.model.device import best_device, prepare_torch
from stilts.model.encoder import Encoder
from stilts.model.heads import build_head
from stilts.model.quantise import set_precision
from stilts.predict.dual import dev_rank_score, encode
from stilts.predict.embed import embed, resolve_layers
from stilts.provenance.job import run_job
from stilts.provenance.manifest import dump_json
from stilts.tokens.dual import DualItems, judged_queries
from stilts.tokens.store import TokenSplit

SIDES = ("query", "candidate")


def work(spec: dict, args: argparse.Namespace, folder: Path) -> dict:
    """Write float32 arrays and index.json, by the kind of the tokens:

    bitext_retrieval: <language>.source.npy and .target.npy, each [layers, sentences, hidden];
    bitext_mining: <split>.<language>.query.npy and .candidate.npy, each [layers, sentences, hidden];
    dual encoders: query.npy and candidate.npy, each [rows, hidden], all languages in the order of the test split.
    """
    prepare_torch(args.threads)
    encoder, _ = load_encoder(args.model.parent, base=args.base)
    set_precision(encoder, spec["precision"], best_device())
    split = TokenSplit(args.tokens.parent, "test")
    split.must_fit(encoder.config.vocab_size)
    if "layers" not in spec:
        return _dual(spec, args, folder, encoder, split)
    layers = resolve_layers(spec["layers"], encoder)
    facts = {"layers": layers, "languages": split.languages}
    if split.kind == "bitext_mining":
        for part in (TokenSplit(args.tokens.parent, "validation"), split):
            for language in part.languages:
                rows = part.where(language)
                for number, side in enumerate(SIDES):
                    chosen = rows[part.side[rows] == number]
                    shape = (len(layers), len(chosen), encoder.config.hidden_size)
                    out = _file(folder / f"{part.split}.{language}.{side}.npy", shape)
                    embed(encoder, part, 0, chosen, layers, spec, args.tokens_per_batch, out)
    else:
        for language in split.languages:
            rows = split.where(language)
            for segment, side in enumerate(("source", "target")):
                pooled = embed(encoder, split, segment, rows, layers, spec, args.tokens_per_batch)
                np.save(folder / f"{language}.{side}.npy", pooled, allow_pickle=False)
    (folder / "index.json").write_text(dump_json(facts), encoding="utf-8")
    return facts


def _dual(spec: dict, args: argparse.Namespace, folder: Path, encoder: Encoder, split: TokenSplit) -> dict:
    head = build_head(split.kind, encoder.config, 0, spec["pooling"], 0.0)
    load_head(args.model.parent, head)
    length = min(spec["max_length"], encoder.config.max_length)
    lengths = (min(spec["query_length"], length), length)
    items, counts = DualItems(split, *lengths), {}
    for number, side in enumerate(SIDES):
        rows = np.flatnonzero(split.side == number)
        out = _file(folder / f"{side}.npy", (len(rows), encoder.config.hidden_size))
        encode(encoder, head, items, rows, args.tokens_per_batch, out)
        counts[side] = len(rows)
    dev = TokenSplit(args.dev_tokens.parent, "validation")
    queries = judged_queries(dev, spec["source_language"])
    value = dev_rank_score(encoder, head, DualItems(dev, *lengths), queries, args.tokens_per_batch)
    score = {"task": spec["dev_task"], "value": round(value, 6), "n": len(queries)}
    (folder / "dev.json").write_text(dump_json(score), encoding="utf-8")
    (folder / "index.json").write_text(dump_json(counts), encoding="utf-8")
    return {"rows": counts, "dev": score}


def _file(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Return an array that is written to its file as it is filled, so that memory does not bound its size."""
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)


if __name__ == "__main__":
    sys.exit(run_job(work, {"model": "", "base": "?", "tokens": "", "dev-tokens": "?"}))
