"""Fine-tune a recipe's encoder on a target task in the source language.

Usage: python -m scripts.train_target --spec JSON --encoder models/intermediate/mini/mnli/s1/manifest.json
       --tokens tokens/mini/squad1/manifest.json --dev-tokens tokens/mini/squad1/manifest.json
       --dev-data data/squad1/manifest.json [--chain-tokens MANIFEST ... --chain-data MANIFEST ...]
       --output models/target/mini/mnli/xquad/dfull/s1/manifest.json
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from stilts.model.checkpoint import copy_tokenizer, load_encoder, save_encoder, save_head
from stilts.model.device import prepare_torch
from stilts.model.encoder import Encoder
from stilts.provenance.job import run_job
from stilts.tasks.spec import TaskSpec
from stilts.train.loop import Outcome, Part, train
from stilts.train.plan import generator, make_plan
from stilts.train.resume import Checkpoints
from stilts.train.setup import Sources, make_part

ONE_TASK = {"sampling": "proportional", "temperature": 1.0, "examples_cap": 1}


def work(spec: dict, args: argparse.Namespace, folder: Path) -> dict:
    """Train, keep the best model on source-language dev data, save encoder and head."""
    prepare_torch(args.threads)
    encoder, _ = load_encoder(args.encoder.parent, spec["depth"])
    checkpoints = Checkpoints(args.attempts)
    before = chain(encoder, spec, args, folder, checkpoints)
    task, dev_task = TaskSpec.model_validate(spec["task"]), TaskSpec.model_validate(spec["dev_task"])
    dev = Sources(args.dev_tokens.parent, args.dev_data.parent)
    part = make_part(encoder, task, Sources(args.tokens.parent, args.tokens.parent), dev, dev_task, spec)
    if before:
        part.head.load_state_dict(before[-1].head.state_dict())
    outcome = tune(encoder, part, spec["settings"], spec["seed"], folder / "history.jsonl", checkpoints)
    save_encoder(folder, encoder)
    save_head(folder, part.head)
    copy_tokenizer(args.encoder.parent, folder)
    return {**vars(outcome), "items": len(part.items), **({"chain": [p.name for p in before]} if before else {})}


def chain(encoder: Encoder, spec: dict, args: argparse.Namespace, folder: Path, checkpoints: Checkpoints) -> list[Part]:
    """Tune encoder and head on the tasks that come before the target's own, one after the other; return them."""
    done: list[Part] = []
    for step, tokens, data in zip(spec.get("chain", []), args.chain_tokens or [], args.chain_data or [], strict=True):
        task, where = TaskSpec.model_validate(step["task"]), Sources(tokens.parent, data.parent)
        part = make_part(encoder, task, where, where, task, {**spec, "settings": step["settings"]})
        if done:
            part.head.load_state_dict(done[-1].head.state_dict())
        history = folder / f"history.{task.task}.jsonl"
        outcome = tune(encoder, part, step["settings"], spec["seed"], history, checkpoints)
        print(f"{task.task}: {outcome.steps} steps, dev {outcome.dev}")
        done.append(part)
    return done


def tune(encoder: Encoder, part: Part, settings: dict, seed: int, history: Path, checkpoints: Checkpoints) -> Outcome:
    """Train one task to its end, its order and its dropout fixed by the seed."""
    plan = make_plan([len(part.items)], [part.name], [settings], seed, ONE_TASK)
    encoder.freeze(settings["frozen_layers"])
    torch.manual_seed(int(generator(seed, "dropout").integers(2**31)))
    return train(encoder, [part], plan, settings, history, checkpoints)


if __name__ == "__main__":
    inputs = {"encoder": "", "tokens": "", "dev-tokens": "", "dev-data": "", "chain-tokens": "*", "chain-data": "*"}
    sys.exit(run_job(work, inputs))
