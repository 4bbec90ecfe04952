"""Fine-tune an encoder (the backbone's, or that of the recipe before) on the intermediate tasks of a recipe.

Usage: python -m scripts.train_intermediate --spec JSON --encoder models/pretrained/mini/s1/manifest.json
       --tokens tokens/mini/mnli/manifest.json ... --data data/mnli/manifest.json ...
       [--translated tokens/mini/mnli.qab/manifest.json ...] [--text tokens/mini/mlm_text/manifest.json]
       [--base models/pretrained/mini/s1/manifest.json: write the difference to it]
       --output models/intermediate/mini/mnli/s1/manifest.json
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from stilts.model.checkpoint import copy_tokenizer, load_encoder, save_encoder
from stilts.model.device import prepare_torch
from stilts.model.encoder import Encoder
from stilts.provenance.job import run_job
from stilts.tasks.spec import TaskSpec
from stilts.train.compaction import train_compact
from stilts.train.loop import Part
from stilts.train.plan import generator, make_plan, text_steps, with_text
from stilts.train.resume import Checkpoints
from stilts.train.setup import Sources, make_part, make_text_part


def work(spec: dict, args: argparse.Namespace, folder: Path) -> dict:
    """Train on one task or several, save the encoder; the heads of the tasks are dropped, as STILTs does."""
    prepare_torch(args.threads)
    encoder, rest = load_encoder(args.encoder.parent, base=args.base)
    parts = task_parts(encoder, spec, args)
    settings, seed = [t["settings"] for t in spec["tasks"]], spec["seed"]
    plan = make_plan([len(p.items) for p in parts], [p.name for p in parts], settings, seed, spec["mixing"])
    text = spec.get("masked_lm")
    if text:
        steps = text_steps(len(plan), text["rate"])
        parts.append(make_text_part(encoder, args.text[0].parent, steps, text, seed, rest))
        plan = with_text(plan, text["rate"], text["batch_size"], len(parts) - 1, seed)
    encoder.freeze(spec["settings"]["frozen_layers"])
    torch.manual_seed(int(generator(seed, "dropout").integers(2**31)))
    checkpoints = Checkpoints(args.attempts)
    outcome = train_compact(encoder, parts, plan, spec["settings"], folder / "history.jsonl", checkpoints)
    save_encoder(folder, encoder, parts[-1].head if text else None, args.base)
    copy_tokenizer(args.encoder.parent, folder)
    work = [p.work.facts(p.name, spec["settings"]["frozen_layers"]) for p in parts]
    return {**outcome.facts(), "items": {p.name: len(p.items) for p in parts}, "work": work}


def task_parts(encoder: Encoder, spec: dict, args: argparse.Namespace) -> list[Part]:
    """Return the tasks of the run; each is trained on its source-language rows and its share of `--translated`."""
    languages = spec.get("translated", {"languages": []})["languages"]
    folders = iter(args.translated or [])
    parts = []
    for entry, tokens, data in zip(spec["tasks"], args.tokens, args.data, strict=True):
        task, where = TaskSpec.model_validate(entry["task"]), Sources(tokens.parent, data.parent)
        own = {**spec, "settings": entry["settings"], **spec.get("translated", {})}
        translated = [next(folders).parent for _ in languages]
        parts.append(make_part(encoder, task, where, where, task, own, translated))
    return parts


if __name__ == "__main__":
    inputs = {"encoder": "", "tokens": "+", "data": "+", "translated": "*", "text": "*", "base": "?"}
    sys.exit(run_job(work, inputs))
