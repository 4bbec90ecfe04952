"""Put a training run together from its spec: items, heads, dev evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stilts.errors import UserError
from stilts.model.encoder import Encoder, initialise
from stilts.model.heads import build_head
from stilts.predict.dual import dev_rank_score
from stilts.predict.records import dev_score, predict, read_examples
from stilts.tasks.spec import TaskSpec
from stilts.tokens.dual import DualItems, trained_queries
from stilts.tokens.sequences import Items
from stilts.tokens.store import TokenSplit
from stilts.train.loop import Part
from stilts.train.plan import cap_examples, generator

EVAL_BATCH = 8192


@dataclass
class Sources:
    """The folders of one task: its tokens and its examples (for the dev score)."""

    tokens: Path
    data: Path


def make_head(encoder: Encoder, task: TaskSpec, outputs: int, settings: dict[str, Any], seed: int) -> torch.nn.Module:
    """Return the untrained head of a task; the seed and the task's name fix its weights, whatever the encoder."""
    torch.manual_seed(int(generator(seed, f"head:{task.task}").integers(2**31)))
    head = build_head(task.kind, encoder.config, outputs, settings["pooling"], settings["dropout"])
    initialise(head)
    return head


def make_part(
    encoder: Encoder, task: TaskSpec, train: Sources, dev: Sources | None, dev_task: TaskSpec, spec: dict[str, Any]
) -> Part:
    """Return one task of a run, ready to train.

    spec: seed, source_language, settings (a `Training` as a dict), blind. dev: where source-language validation
    examples lie (of `dev_task`: a target such as XNLI is selected on its own dev set), None without selection.
    Raises UserError when there is nothing to train on.
    """
    settings, seed = spec["settings"], spec["seed"]
    split = TokenSplit(train.tokens, "train")
    split.must_fit(encoder.config.vocab_size)
    if len(split) == 0:
        raise UserError(f"{train.tokens}: the training split is empty; check `splits` and `source_language`")
    length = min(settings["max_length"], encoder.config.max_length)
    items = _items(split, length, task, spec)
    head = make_head(encoder, task, split.outputs(task.labels), settings, seed)
    part = Part(task.task, items, head)
    if dev is not None and settings["eval_every"]:
        part.evaluate = _evaluator(dev_task, dev, length, spec)
    return part


def _items(split: TokenSplit, length: int, task: TaskSpec, spec: dict[str, Any]) -> Items | DualItems:
    settings, seed = spec["settings"], spec["seed"]
    count = len(trained_queries(split)) if task.dual else len(split)
    chosen = cap_examples(count, settings["max_train_examples"], seed, task.task)
    if task.dual:
        return DualItems(split, min(settings["query_length"], length), length, chosen)
    return Items(split, length, settings["doc_stride"], chosen, spec.get("blind", False))


def _evaluator(task: TaskSpec, dev: Sources, length: int, spec: dict[str, Any]):
    settings = spec["settings"]
    split = TokenSplit(dev.tokens, "validation")
    rows = split.where(spec["source_language"])
    if task.dual:
        rows = np.intersect1d(rows, trained_queries(split))
    # The same dev subset in every arm: it depends on the task alone.
    rows = rows[np.sort(generator(0, f"dev:{task.task}").permutation(len(rows))[: settings["eval_examples"]])]
    if task.dual:
        pairs = DualItems(split, min(settings["query_length"], length), length)
        return lambda encoder, head: dev_rank_score(encoder, head, pairs, rows, EVAL_BATCH)
    data = read_examples(dev.data, "validation", rows)
    items = Items(split, length, settings["doc_stride"], rows, spec.get("blind", False))

    def evaluate(encoder: Encoder, head: torch.nn.Module) -> float:
        return dev_score(task, predict(encoder, head, items, data, task, EVAL_BATCH, "dev"), data)

    return evaluate
