"""Masked-LM pretraining of a small stand-in encoder from scratch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stilts.errors import UserError
from stilts.model.device import best_device
from stilts.model.encoder import Encoder, EncoderConfig, Layout, initialise
from stilts.model.heads import MaskedLMHead
from stilts.progress import Progress
from stilts.tokens.store import TokenSplit
from stilts.train.optimizer import AdamW
from stilts.train.plan import generator

IGNORE = -100


class TextStream:
    """An endless, seeded stream of documents as sequences, batched by real tokens.

    Languages are drawn with probability ~ share ** alpha (XLM-R's sampling); alpha 1 passes over the text as it is.
    """

    def __init__(self, split: TokenSplit, seed: int, max_length: int, alpha: float):
        if len(split) == 0:
            raise UserError(f"{split.folder}: there is no text to pretrain on")
        self.split, self.max_length = split, max_length
        self.rng = generator(seed, "text")
        count = np.bincount(split.language, minlength=len(split.languages))
        self.groups = (
            [np.arange(len(split))]
            if alpha == 1.0
            else [split.where(k) for k, n in zip(split.languages, count, strict=True) if n]
        )
        weight = np.asarray([len(g) for g in self.groups], float) ** alpha
        self.weight = weight / weight.sum()
        self.queues: list[np.ndarray] = [np.zeros(0, np.int64) for _ in self.groups]

    def sequence(self) -> np.ndarray:
        """Return the next document with special tokens, cut to the maximal length."""
        g = 0 if len(self.groups) == 1 else int(self.rng.choice(len(self.groups), p=self.weight))
        if not len(self.queues[g]):
            self.queues[g] = self.rng.permutation(self.groups[g])
        example, self.queues[g] = int(self.queues[g][0]), self.queues[g][1:]
        s = self.split
        parts = [s.segment(example, k) for k in range(s.segments_of(example))]
        ids = [s.cls]
        for k, part in enumerate(parts):
            ids += [*([s.sep] if k else []), *part, s.sep]
        if len(ids) > self.max_length:
            ids = [*ids[: self.max_length - 1], s.sep]
        return np.asarray(ids, np.int64)

    def batch(self, tokens: int) -> list[np.ndarray]:
        """Return sequences with about `tokens` real tokens in all, at least one."""
        sequences, size = [], 0
        while size < tokens:
            sequences.append(self.sequence())
            size += len(sequences[-1])
        return sequences


def mask_tokens(
    ids: np.ndarray, special: list[int], vocabulary: int, mask: int, share: float, rng: np.random.Generator
) -> tuple:
    """Return (input ids, targets): `share` of the ordinary tokens are targets; 80 % masked, 10 % random, 10 % kept."""
    candidates = np.flatnonzero(~np.isin(ids, special))
    chosen = candidates[rng.random(len(candidates)) < share]
    if not len(chosen) and len(candidates):
        chosen = candidates[:1]
    targets = np.full(len(ids), IGNORE, np.int64)
    targets[chosen] = ids[chosen]
    draw = rng.random(len(chosen))
    changed = ids.copy()
    changed[chosen[draw < 0.8]] = mask
    swap = chosen[(draw >= 0.8) & (draw < 0.9)]
    changed[swap] = rng.integers(4, vocabulary - 1, len(swap))
    return changed, targets


def pretrain(
    split: TokenSplit, spec: dict[str, Any], seed: int, history: Path
) -> tuple[Encoder, MaskedLMHead, dict[str, Any]]:
    """Train an encoder from scratch; return it with its masked-LM head and facts (steps, tokens, last losses).

    spec: the keys of `stilts.config.models.Pretraining`.
    """
    config = EncoderConfig(
        vocab_size=split.vocabulary,
        hidden_size=spec["hidden_size"],
        num_hidden_layers=spec["layers"],
        num_attention_heads=spec["heads"],
        intermediate_size=spec["ffn_size"],
        max_position_embeddings=spec["max_positions"] + 2,
        initializer_range=spec["initializer_range"],
    )
    torch.manual_seed(seed)
    encoder = Encoder(config)
    initialise(encoder, config.initializer_range)
    head = MaskedLMHead(config, encoder.embeddings.word_embeddings)
    initialise(head, config.initializer_range)
    settings = spec["training"]
    encoder.dropout = settings["dropout"]
    device = best_device()
    encoder.to(device)
    head.to(device)
    stream = TextStream(split, seed, spec["max_positions"], spec["language_alpha"])
    masks = generator(seed, "masks")
    special = [split.cls, split.pad, split.sep, split.unk, split.mask]
    optimizer = AdamW([*encoder.parameters(), *head.parameters()], spec["steps"], settings)
    tokens, losses = 0, []
    encoder.train()
    with history.open("w", encoding="utf-8") as log, Progress("pretrain", spec["steps"]) as progress:
        for step in range(1, spec["steps"] + 1):
            sequences = stream.batch(spec["batch_tokens"])
            flat = np.concatenate(sequences)
            ids, targets = mask_tokens(flat, special, split.vocabulary, split.mask, spec["mask_probability"], masks)
            layout = Layout(torch.tensor([len(s) for s in sequences]), device)
            states = encoder(torch.from_numpy(ids).to(device), layout)
            loss, count = head.loss(states, layout, torch.from_numpy(targets).to(device))
            loss = loss / max(1, count)
            loss.backward()
            norm = optimizer.step()
            tokens += len(flat)
            losses.append(loss.item())
            if not np.isfinite([losses[-1], norm]).all():
                raise UserError(f"pretraining diverged at step {step}: lower pretraining.training.learning_rate")
            progress.update(loss=losses[-1])
            if step % 25 == 0 or step == spec["steps"]:
                log.write(
                    json.dumps({"step": step, "loss": round(float(np.mean(losses[-25:])), 6), "norm": round(norm, 6)})
                    + "\n"
                )
    return encoder, head, {"steps": spec["steps"], "tokens": tokens, "loss": round(float(np.mean(losses[-25:])), 6)}
