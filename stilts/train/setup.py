"""Put a training run together from its spec: items, heads, dev evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stilts.errors import UserError
from stilts.model.encoder import Encoder, initialise
from stilts.model.heads import MaskedLMHead, build_head
from stilts.predict.dual import dev_rank_score
from stilts.predict.records import dev_score, predict, read_examples
from stilts.tasks.spec import TaskSpec
from stilts.tokens.dual import DualItems, judged_queries, trained_queries, without_gold
from stilts.tokens.joined import JoinedItems, join
from stilts.tokens.sequences import Items
from stilts.tokens.store import TokenSplit
from stilts.train.cotraining import TextItems, draw_documents
from stilts.train.loop import Part
from stilts.train.plan import cap_examples, generator
from stilts.train.work import Work, head_outputs

EVAL_BATCH = 8192


@dataclass
class Sources:
    """The folders of one task: its tokens and its examples (for the dev score)."""

    tokens: Path
    data: Path


def make_head(encoder: Encoder, task: TaskSpec, outputs: int, settings: dict[str, Any], seed: int) -> torch.nn.Module:
    """Return the untrained head of a task; the seed and the task's name fix its weights, whatever the encoder."""
    torch.manual_seed(int(generator(seed, f"head:{task.task}").integers(2**31)))
    how = settings["pooling"], settings["dropout"], settings["softmax_pairs"]
    head = build_head(task.kind, encoder.config, outputs, *how)
    initialise(head)
    return head


def make_part(
    encoder: Encoder,
    task: TaskSpec,
    train: Sources,
    dev: Sources | None,
    dev_task: TaskSpec,
    spec: dict[str, Any],
    translated: Sequence[Path] = (),
) -> Part:
    """Return one task of a run, ready to train.

    spec: seed, source_language, settings (a `Training` as a dict), blind, source_rows. dev: where source-language
    validation examples lie (of `dev_task`: a target such as XNLI is selected on its own dev set), None without
    selection. translated: token folders of translations, trained on after the rows of `train` (source_rows: beside or
    instead of them). Raises UserError when there is nothing to train on.
    """
    settings = spec["settings"]
    own = [train.tokens] if spec.get("source_rows", True) else []
    splits = [_training_split(folder, encoder) for folder in [*own, *translated]]
    length = min(settings["max_length"], encoder.config.max_length)
    items = _items(splits, length, task, spec)
    if task.dual and not len(items):
        raise UserError(without_gold(splits[0]))
    outputs = splits[0].outputs(task.labels)
    head = make_head(encoder, task, outputs, settings, spec["seed"])
    work = Work(task.kind, head_outputs(task.kind, outputs))
    part = Part(task.task, items, head, work, sub_words=items.sub_words())
    if dev is not None and settings["eval_every"]:
        part.evaluate, judged = _evaluator(dev_task, dev, length, spec)
        part.sub_words = np.union1d(part.sub_words, judged.sub_words())
    return part


def _items(
    splits: list[TokenSplit], length: int, task: TaskSpec, spec: dict[str, Any]
) -> Items | JoinedItems | DualItems:
    """Return the items of all splits as one task; a cap on the examples counts over all of them."""
    settings, seed = spec["settings"], spec["seed"]
    sizes = [len(trained_queries(s)) if task.dual else len(s) for s in splits]
    chosen = cap_examples(sum(sizes), settings["max_train_examples"], seed, task.task)
    if task.dual:
        return DualItems(splits[0], min(settings["query_length"], length), length, chosen)
    starts = np.cumsum([0, *sizes])
    rows = [chosen[(chosen >= a) & (chosen < b)] - a for a, b in pairwise(starts)]
    blind = spec.get("blind", False)
    return join([Items(s, length, settings["doc_stride"], r, blind) for s, r in zip(splits, rows, strict=True)])


def _training_split(folder: Path, encoder: Encoder) -> TokenSplit:
    split = TokenSplit(folder, "train")
    split.must_fit(encoder.config.vocab_size)
    if len(split) == 0:
        raise UserError(f"{folder}: the training split is empty; check `splits` and `source_language`")
    return split


def make_text_part(
    encoder: Encoder, text: Path, steps: int, spec: dict[str, Any], seed: int, weights: dict[str, torch.Tensor]
) -> Part:
    """Return masked LM on plain text as one task of a run, with items for `steps` steps.

    spec: masked_lm of a recipe's spec. weights: `lm_head.*` of the backbone, which go on being trained; without them
    the head starts from drawn weights that the seed fixes.
    """
    split = TokenSplit(text, "train")
    split.must_fit(encoder.config.vocab_size)
    count = steps * spec["batch_size"]
    documents = draw_documents(split, spec["languages"], count, spec["language_alpha"], seed)
    length = min(spec["max_length"], encoder.config.max_length)
    items = TextItems(split, documents, length, spec["mask_probability"], seed)
    torch.manual_seed(int(generator(seed, f"head:{spec['corpus']}").integers(2**31)))
    head = MaskedLMHead(encoder.config, encoder.embeddings.word_embeddings)
    initialise(head)
    held = {k: weights[f"lm_head.{k}"] for k in head.state_dict() if f"lm_head.{k}" in weights}
    if len(held) == len(head.state_dict()):
        head.load_state_dict(held)
    return Part(spec["corpus"], items, head, Work("masked_lm", encoder.config.vocab_size))


def _evaluator(task: TaskSpec, dev: Sources, length: int, spec: dict[str, Any]):
    """Return how a model is judged, and the items it is judged on."""
    settings = spec["settings"]
    split = TokenSplit(dev.tokens, "validation")
    language = spec["source_language"]
    rows = judged_queries(split, language) if task.dual else split.where(language)
    # The same dev subset in every arm: it depends on the task alone.
    rows = rows[np.sort(generator(0, f"dev:{task.task}").permutation(len(rows))[: settings["eval_examples"]])]
    if task.dual:
        pairs = DualItems(split, min(settings["query_length"], length), length)
        return lambda encoder, head: dev_rank_score(encoder, head, pairs, rows, EVAL_BATCH), pairs
    data = read_examples(dev.data, "validation", rows)
    items = Items(split, length, settings["doc_stride"], rows, spec.get("blind", False))

    def evaluate(encoder: Encoder, head: torch.nn.Module) -> float:
        return dev_score(task, predict(encoder, head, items, data, task, EVAL_BATCH, "dev"), data)

    return evaluate, items
