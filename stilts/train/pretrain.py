"""Masked-LM pretraining of a small stand-in encoder from scratch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

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
from stilts.train.state import State
from stilts.train.text import TextStream, mask_tokens
from stilts.train.work import Work


def pretrain(
    split: TokenSplit, spec: dict[str, Any], seed: int, history: Path, checkpoints: Checkpoints | None = None
) -> tuple[Encoder, MaskedLMHead, dict[str, Any]]:
    """Train an encoder from scratch; return it with its masked-LM head and facts (steps, tokens, last losses).

    spec: the keys of `stilts.config.models.Pretraining`. checkpoints: as for `stilts.train.loop.train`.
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
    precision = choose(settings["precision"], device)
    stream = TextStream(split, seed, spec["max_positions"], spec["language_alpha"])
    masks = generator(seed, "masks")
    special = [split.cls, split.pad, split.sep, split.unk, split.mask]
    optimizer = AdamW([*encoder.parameters(), *head.parameters()], spec["steps"], settings)
    work = Work("masked_lm", config.vocab_size)
    modules = nn.ModuleList([encoder, head])
    state = State(modules, optimizer, generators=[stream.rng, masks], queues=stream.queues, counters=[work])
    checkpoints = checkpoints or Checkpoints()
    encoder.train()
    with checkpoints.run(state, history) as log, Progress("pretrain", spec["steps"], state.step) as progress:
        for step in range(state.step + 1, spec["steps"] + 1):
            state.step = step
            sequences = stream.batch(spec["batch_tokens"])
            flat = np.concatenate(sequences)
            ids, targets = mask_tokens(flat, special, split.vocabulary, split.mask, spec["mask_probability"], masks)
            lengths = np.asarray([len(s) for s in sequences], np.int64)
            layout = Layout(torch.from_numpy(lengths), device)
            with computing(precision, device):
                states = encoder(torch.from_numpy(ids).to(device), layout)
                loss, count = head.loss(states, layout, torch.from_numpy(targets).to(device))
            loss = loss / max(1, count)
            loss.backward()
            norm = optimizer.step()
            work.steps += 1
            work.add(lengths, count)
            state.losses = [*state.losses[-24:], loss.item()]
            if not np.isfinite([state.losses[-1], norm]).all():
                raise UserError(f"pretraining diverged at step {step}: lower pretraining.training.learning_rate")
            progress.update(loss=state.losses[-1])
            if step % 25 == 0 or step == spec["steps"]:
                mean = round(float(np.mean(state.losses)), 6)
                log.write(json.dumps({"step": step, "loss": mean, "norm": round(norm, 6)}) + "\n")
            checkpoints.after_step(state, spec["steps"])
    facts = {"steps": work.steps, "tokens": work.tokens, "loss": mean}
    return encoder, head, {**facts, "work": [work.facts("masked_lm", 0)], "run": {"precision": precision}}
