"""Pool sentence embeddings of every layer and language with one encoder load.

Usage: python -m scripts.embed --spec JSON --model models/intermediate/mini/mnli/s1/manifest.json
       --tokens tokens/mini/tatoeba/manifest.json --output embeddings/.../manifest.json
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from stilts.model.checkpoint import load_encoder
from stilts.model.device import prepare_torch
from stilts.predict.embed import embed, resolve_layers
from stilts.provenance.job import run_job
from stilts.provenance.manifest import dump_json
from stilts.tokens.store import TokenSplit


def work(spec: dict, args: argparse.Namespace, folder: Path) -> dict:
    """Write <language>.source.npy and <language>.target.npy, each [layers, sentences, hidden]."""
    prepare_torch(args.threads)
    encoder, _ = load_encoder(args.model.parent)
    split = TokenSplit(args.tokens.parent, "test")
    split.must_fit(encoder.config.vocab_size)
    layers = resolve_layers(spec["layers"], encoder)
    for language in split.languages:
        rows = split.where(language)
        for segment, side in enumerate(("source", "target")):
            pooled = embed(encoder, split, segment, rows, layers, spec, args.tokens_per_batch)
            np.save(folder / f"{language}.{side}.npy", pooled, allow_pickle=False)
    (folder / "index.json").write_text(dump_json({"layers": layers, "languages": split.languages}), encoding="utf-8")
    return {"layers": layers, "languages": split.languages}


if __name__ == "__main__":
    sys.exit(run_job(work, {"model": "", "tokens": ""}))
