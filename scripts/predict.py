"""Predict every language of a target with one model load, and its source-language dev set.

Usage: python -m scripts.predict --spec JSON --model models/target/mini/none/xquad/dfull/s1/manifest.json
       --tokens tokens/mini/xquad/manifest.json --data data/xquad/manifest.json
       --dev-tokens ... --dev-data ... --output predictions/mini/none/xquad/dfull-lfull-fp32/s1/manifest.json
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from stilts.model.checkpoint import load_encoder, load_head
from stilts.model.device import prepare_torch
from stilts.model.heads import build_head
from stilts.predict.records import dev_score, predict, read_examples, write_predictions
from stilts.provenance.job import run_job
from stilts.provenance.manifest import dump_json
from stilts.tasks.spec import TaskSpec
from stilts.tokens.sequences import Items
from stilts.tokens.store import TokenSplit


def work(spec: dict, args: argparse.Namespace, folder: Path) -> dict:
    """Write predictions.parquet (test, all languages), dev.parquet and dev.json (source language)."""
    prepare_torch(args.threads)
    encoder, _ = load_encoder(args.model.parent)
    settings = spec["settings"]
    length = min(spec["max_length"], encoder.config.max_length)

    def run(task: TaskSpec, tokens: Path, data: Path, split: str, rows: np.ndarray | None) -> tuple[dict, dict]:
        part = TokenSplit(tokens.parent, split)
        items = Items(part, length, min(settings["doc_stride"], length // 2), rows, spec["blind"])
        outputs = part.segments_of(0) - 1 if task.kind == "multiple_choice" else len(task.labels)
        head = build_head(task.kind, encoder.config, outputs, settings["pooling"], 0.0)
        load_head(args.model.parent, head)
        examples = read_examples(data.parent, split, rows)
        return predict(encoder, head, items, examples, task, args.tokens_per_batch, split), examples

    task, dev_task = TaskSpec.model_validate(spec["task"]), TaskSpec.model_validate(spec["dev_task"])
    columns, _ = run(task, args.tokens, args.data, "test", None)
    write_predictions(folder / "predictions.parquet", columns)
    rows = TokenSplit(args.dev_tokens.parent, "validation").where(spec["source_language"])
    dev, examples = run(dev_task, args.dev_tokens, args.dev_data, "validation", rows)
    write_predictions(folder / "dev.parquet", dev)
    score = {"task": dev_task.task, "value": round(dev_score(dev_task, dev, examples), 6), "n": len(rows)}
    (folder / "dev.json").write_text(dump_json(score), encoding="utf-8")
    return {"examples": len(columns["id"]), "dev": score}


if __name__ == "__main__":
    sys.exit(run_job(work, {"model": "", "tokens": "", "data": "", "dev-tokens": "", "dev-data": ""}))
