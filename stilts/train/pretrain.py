"""Masked-LM pretraining of a small stand-in encoder from scratch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stilts.errors import UserError
from stilts.model.device import best_device
from stilts.model.encoder import Encoder, EncoderConfig, Layout, initialise
from stilts.model.heads import MaskedLMHead
from stilts.model.precision import choose, computing
from stilts.progress import Progress
from stilts.tokens.store import TokenSplit
from stilts.train.optimizer import AdamW
from stilts.train.plan import generator
from stilts.train.resume import Checkpoints
from stilts.train.shards import Arrays, Shards, cut
from stilts.train.state import State
from stilts.train.text import IGNORE, TextStream, mask_tokens
from stilts.train.work import Work


def pretrain(
    split: TokenSplit,
    spec: dict[str, Any],
    seed: int,
    history: Path,
    checkpoints: Checkpoints | None = None,
    processes: int = 1,
) -> tuple[Encoder, MaskedLMHead, dict[str, Any]]:
    """Train an encoder from scratch; return it with its masked-LM head and facts (steps, tokens, last losses).

    spec: the keys of `stilts.config.models.Pretraining`. checkpoints: as for `stilts.train.loop.train`. processes: how
    many may compute on a CPU; results do not depend on it.
    """
    encoder, head = _untrained(split, spec, seed)
    settings = spec["training"]
    encoder.dropout = settings["dropout"]
    device = best_device()
    encoder.to(device)
    head.to(device)
    precision = choose(settings["precision"], device)
    stream = TextStream(split, seed, spec["max_positions"], spec["language_alpha"])
    masks = generator(seed, "masks")
    special = [split.cls, split.pad, split.sep, split.unk, split.mask]
    optimizer = AdamW([*encoder.parameters(), *head.parameters()], spec["steps"], settings)
    work = Work("masked_lm", split.vocabulary)
    modules = nn.ModuleList([encoder, head])
    state = State(modules, optimizer, generators=[stream.rng, masks], queues=stream.queues, counters=[work])
    checkpoints = checkpoints or Checkpoints()
    encoder.train()

    def loss_of(ids: np.ndarray, targets: np.ndarray, lengths: np.ndarray, count: int) -> Tensor:
        layout = Layout(torch.from_numpy(lengths), device)
        with computing(precision, device):
            states = encoder(torch.from_numpy(ids).to(device), layout)
            summed = head.loss(states, layout, torch.from_numpy(targets).to(device))[0]
        return summed / max(1, count)

    with (
        checkpoints.run(state, history) as log,
        Progress("pretrain", spec["steps"], state.step) as progress,
        Shards(optimizer.parameters, loss_of, spec["shards"], processes if device.type == "cpu" else 1) as shards,
    ):
        for step in range(state.step + 1, spec["steps"] + 1):
            state.step = step
            sequences = stream.batch(spec["batch_tokens"])
            flat = np.concatenate(sequences)
            ids, targets = mask_tokens(flat, special, split.vocabulary, split.mask, spec["mask_probability"], masks)
            lengths, count = np.asarray([len(s) for s in sequences], np.int64), int((targets != IGNORE).sum())
            loss = shards.backward((seed, step), cut_batch(ids, targets, lengths, count, spec["shards"]))
            norm = optimizer.step()
            work.steps += 1
            work.add(lengths, count)
            state.losses = [*state.losses[-24:], loss]
            if not np.isfinite([loss, norm]).all():
                raise UserError(f"pretraining diverged at step {step}: lower pretraining.training.learning_rate")
            progress.update(loss=loss)
            if step % 25 == 0 or step == spec["steps"]:
                mean = round(float(np.mean(state.losses)), 6)
                log.write(json.dumps({"step": step, "loss": mean, "norm": round(norm, 6)}) + "\n")
            checkpoints.attempts.elsewhere = shards.cpu_seconds
            checkpoints.after_step(state, spec["steps"])
    checkpoints.attempts.elsewhere = 0.0  # the system counts the processes that have ended
    facts = {"steps": work.steps, "tokens": work.tokens, "loss": mean}
    run = {"precision": precision, "processes": shards.processes}
    return encoder, head, {**facts, "work": [work.facts("masked_lm", 0)], "run": run}


def _untrained(split: TokenSplit, spec: dict[str, Any], seed: int) -> tuple[Encoder, MaskedLMHead]:
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
    return encoder, head


def cut_batch(ids: np.ndarray, targets: np.ndarray, lengths: np.ndarray, count: int, shards: int) -> list[Arrays]:
    """Return (ids, targets, lengths, count) of each shard of a flat batch; count: the real targets of the whole."""
    ends = lengths.cumsum()[:-1]
    ids, targets = np.split(ids, ends), np.split(targets, ends)
    return [
        (np.concatenate([ids[k] for k in part]), np.concatenate([targets[k] for k in part]), lengths[part], count)
        for part in cut(lengths, shards)
    ]
