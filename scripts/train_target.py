"""Fine-tune a recipe's encoder on a target task in the source language.

Usage: python -m scripts.train_target --spec JSON --encoder models/intermediate/mini/mnli/s1/manifest.json
       --tokens tokens/mini/squad1/manifest.json --dev-tokens tokens/mini/squad1/manifest.json
       --dev-data data/squad1/manifest.json [--chain-tokens MANIFEST ... --chain-data MANIFEST ...]
       [--base models/pretrained/mini/s1/manifest.json: write the difference to it]
       --output models/target/mini/mnli/xquad/dfull/s1/manifest.json
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

from stilts.model.checkpoint import copy_tokenizer, load_encoder, save_encoder, save_head
from stilts.model.device import prepare_torch
from stilts.model.encoder import Encoder
from stilts.provenance.job import run_job
from stilts.tasks.spec import TaskSpec
from stilts.train.compaction import train_compact
from stilts.train.loop import Outcome, Part
from stilts.train.plan import generator, make_plan
from stilts.train.resume import Checkpoints
from stilts.train.setup import Sources, make_part

ONE_TASK = {"sampling": "proportional", "temperature": 1.0, "examples_cap": 1}


def work(spec: dict, args: argparse.Namespace, folder: Path) -> dict:
    """Train, keep the best model on source-language dev data, save encoder and head."""
    prepare_torch(args.threads)
    encoder, _ = load_encoder(args.encoder.parent, spec["depth"], args.base)
    *before, part = parts = task_parts(encoder, spec, args)
    steps, checkpoints = [*spec.get("chain", []), spec], Checkpoints(args.attempts)
    for k, earlier in enumerate(before):
        history = folder / f"history.{earlier.name}.jsonl"
        outcome = tune(encoder, earlier, steps[k]["settings"], spec["seed"], history, checkpoints)
        print(f"{earlier.name}: {outcome.steps} steps, dev {outcome.dev}")
        parts[k + 1].head.load_state_dict(earlier.head.state_dict())
    outcome = tune(encoder, part, spec["settings"], spec["seed"], folder / "history.jsonl", checkpoints)
    save_encoder(folder, encoder, base=args.base, half=spec.get("half", False))
    save_head(folder, part.head)
    copy_tokenizer(args.encoder.parent, folder)
    work = [p.work.facts(p.name, s["settings"]["frozen_layers"]) for p, s in zip(parts, steps, strict=True)]
    chained = {"chain": [p.name for p in before]} if before else {}
    return {**outcome.facts(), "items": len(part.items), **chained, "work": work}


def task_parts(encoder: Encoder, spec: dict, args: argparse.Namespace) -> list[Part]:
    """Return the target's own task, behind those of its chain, which encoder and head are tuned on before.

    All keep one set of embedding rows, so that a checkpoint holds what an earlier task of the chain changed.
    """
    parts = []
    for step, tokens, data in zip(spec.get("chain", []), args.chain_tokens or [], args.chain_data or [], strict=True):
        task, where = TaskSpec.model_validate(step["task"]), Sources(tokens.parent, data.parent)
        parts.append(make_part(encoder, task, where, where, task, {**spec, "settings": step["settings"]}))
    task, dev_task = TaskSpec.model_validate(spec["task"]), TaskSpec.model_validate(spec["dev_task"])
    own, dev = Sources(args.tokens.parent, args.tokens.parent), Sources(args.dev_tokens.parent, args.dev_data.parent)
    parts.append(make_part(encoder, task, own, dev, dev_task, spec))
    rows = np.unique(np.concatenate([part.sub_words for part in parts]))
    for part in parts:
        part.sub_words = rows
    return parts


def tune(encoder: Encoder, part: Part, settings: dict, seed: int, history: Path, checkpoints: Checkpoints) -> Outcome:
    """Train one task to its end, its order and its dropout fixed by the seed."""
    plan = make_plan([len(part.items)], [part.name], [settings], seed, ONE_TASK)
    encoder.freeze(settings["frozen_layers"])
    torch.manual_seed(int(generator(seed, "dropout").integers(2**31)))
    return train_compact(encoder, [part], plan, settings, history, checkpoints)


if __name__ == "__main__":
    inputs = {"encoder": "", "tokens": "", "dev-tokens": "", "dev-data": "", "chain-tokens": "*", "chain-data": "*"}
    sys.exit(run_job(work, inputs | {"base": "?"}))
