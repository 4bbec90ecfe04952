"""Fine-tune the backbone on the intermediate tasks of a recipe.

Usage: python -m scripts.train_intermediate --spec JSON --encoder models/pretrained/mini/s1/manifest.json
       --tokens tokens/mini/mnli/manifest.json ... --data data/mnli/manifest.json ...
       --output models/intermediate/mini/mnli/s1/manifest.json
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from stilts.model.checkpoint import copy_tokenizer, load_encoder, save_encoder
from stilts.model.device import prepare_torch
from stilts.provenance.job import run_job
from stilts.tasks.spec import TaskSpec
from stilts.train.loop import train
from stilts.train.plan import generator, make_plan
from stilts.train.setup import Sources, make_part


def work(spec: dict, args: argparse.Namespace, folder: Path) -> dict:
    """Train on one task or several, save the encoder; the heads are dropped, as STILTs does."""
    prepare_torch(args.threads)
    encoder, _ = load_encoder(args.encoder.parent)
    tasks = [TaskSpec.model_validate(t["task"]) for t in spec["tasks"]]
    settings = [t["settings"] for t in spec["tasks"]]
    parts = []
    for task, own, tokens, data in zip(tasks, settings, args.tokens, args.data, strict=True):
        where = Sources(tokens.parent, data.parent)
        parts.append(make_part(encoder, task, where, where, task, {**spec, "settings": own}))
    plan = make_plan([len(p.items) for p in parts], [p.name for p in parts], settings, spec["seed"], spec["mixing"])
    encoder.freeze(spec["settings"]["frozen_layers"])
    torch.manual_seed(int(generator(spec["seed"], "dropout").integers(2**31)))
    outcome = train(encoder, parts, plan, spec["settings"], folder / "history.jsonl")
    save_encoder(folder, encoder)
    copy_tokenizer(args.encoder.parent, folder)
    return {**vars(outcome), "items": {p.name: len(p.items) for p in parts}}


if __name__ == "__main__":
    sys.exit(run_job(work, {"encoder": "", "tokens": "+", "data": "+"}))
