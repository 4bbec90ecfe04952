"""Predict every language of a target with one model load, and its source-language dev set.

Usage: python -m scripts.predict --spec JSON --model models/target/mini/none/xquad/dfull/s1/manifest.json
       --tokens tokens/mini/xquad/manifest.json --data data/xquad/manifest.json
       --dev-tokens ... --dev-data ... [--base MANIFEST of the encoder that a compact model is the difference to]
       --output predictions/mini/none/xquad/dfull-lfull-fp32/s1/manifest.json
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from stilts.model.checkpoint import load_encoder, load_head
from stilts.model.device import best_device, prepare_torch
from stilts.model.heads import build_head
from stilts.model.quantise import set_precision
from stilts.predict.records import dev_score, predict, read_examples, write_predictions
from stilts.provenance.job import run_job
from stilts.provenance.manifest import dump_json
from stilts.tasks.spec import TaskSpec
from stilts.tokens.sequences import Items
from stilts.tokens.store import TokenSplit


def work(spec: dict, args: argparse.Namespace, folder: Path) -> dict:
    """Write predictions.parquet (test, all languages), dev.parquet and dev.json (source language)."""
    prepare_torch(args.threads)
    encoder, _ = load_encoder(args.model.parent, base=args.base)
    set_precision(encoder, spec["precision"], best_device())
    settings = spec["settings"]
    length = min(spec["max_length"], encoder.config.max_length)

    task, dev_task = TaskSpec.model_validate(spec["task"]), TaskSpec.model_validate(spec["dev_task"])
    test = TokenSplit(args.tokens.parent, "test")
    dev = TokenSplit(args.dev_tokens.parent, "validation")
    head = build_head(task.kind, encoder.config, test.outputs(task.labels), settings["pooling"], 0.0)
    load_head(args.model.parent, head)

    def run(split: TokenSplit, rows: np.ndarray | None, examples: dict, of: TaskSpec) -> dict:
        items = Items(split, length, min(settings["doc_stride"], length // 2), rows, spec["blind"])
        return predict(encoder, head, items, examples, of, args.tokens_per_batch, split.split)

    columns = run(test, None, read_examples(args.data.parent, "test"), task)
    write_predictions(folder / "predictions.parquet", columns)
    rows = dev.where(spec["source_language"])
    examples = read_examples(args.dev_data.parent, "validation", rows)
    found = run(dev, rows, examples, dev_task)
    write_predictions(folder / "dev.parquet", found)
    score = {"task": dev_task.task, "value": round(dev_score(dev_task, found, examples), 6), "n": len(rows)}
    (folder / "dev.json").write_text(dump_json(score), encoding="utf-8")
    return {"examples": len(columns["id"]), "dev": score}


if __name__ == "__main__":
    sys.exit(run_job(work, {"model": "", "base": "?", "tokens": "", "data": "", "dev-tokens": "", "dev-data": ""}))
