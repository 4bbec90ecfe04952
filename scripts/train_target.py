"""Fine-tune a recipe's encoder on a target task in the source language.

Usage: python -m scripts.train_target --spec JSON --encoder models/intermediate/mini/mnli/s1/manifest.json
       --tokens tokens/mini/squad1/manifest.json --dev-tokens tokens/mini/squad1/manifest.json
       --dev-data data/squad1/manifest.json --output models/target/mini/mnli/xquad/dfull/s1/manifest.json
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from stilts.model.checkpoint import copy_tokenizer, load_encoder, save_encoder, save_head
from stilts.model.device import prepare_torch
from stilts.provenance.job import run_job
from stilts.tasks.spec import TaskSpec
from stilts.train.loop import train
from stilts.train.plan import generator, make_plan
from stilts.train.setup import Sources, make_part

ONE_TASK = {"sampling": "proportional", "temperature": 1.0, "examples_cap": 1}


def work(spec: dict, args: argparse.Namespace, folder: Path) -> dict:
    """Train, keep the best model on source-language dev data, save encoder and head."""
    prepare_torch(args.threads)
    encoder, _ = load_encoder(args.encoder.parent, spec["depth"])
    task, dev_task = TaskSpec.model_validate(spec["task"]), TaskSpec.model_validate(spec["dev_task"])
    dev = Sources(args.dev_tokens.parent, args.dev_data.parent)
    part = make_part(encoder, task, Sources(args.tokens.parent, args.tokens.parent), dev, dev_task, spec)
    settings = spec["settings"]
    plan = make_plan([len(part.items)], [part.name], [settings], spec["seed"], ONE_TASK)
    encoder.freeze(settings["frozen_layers"])
    torch.manual_seed(int(generator(spec["seed"], "dropout").integers(2**31)))
    outcome = train(encoder, [part], plan, settings, folder / "history.jsonl")
    save_encoder(folder, encoder)
    save_head(folder, part.head)
    copy_tokenizer(args.encoder.parent, folder)
    return {**vars(outcome), "items": len(part.items)}


if __name__ == "__main__":
    sys.exit(run_job(work, {"encoder": "", "tokens": "", "dev-tokens": "", "dev-data": ""}))
