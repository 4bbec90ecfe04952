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
from stilts.model.precision import choose, computing
from stilts.progress import Progress
from stilts.tokens.store import TokenSplit
from stilts.train.optimizer import AdamW
from stilts.train.plan import generator
from stilts.train.text import TextStream, mask_tokens


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
    precision = choose(settings["precision"], device)
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
            with computing(precision, device):
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
    facts = {"steps": spec["steps"], "tokens": tokens, "loss": round(float(np.mean(losses[-25:])), 6)}
    return encoder, head, {**facts, "run": {"precision": precision}}
