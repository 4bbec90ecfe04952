"""Training steps on given optimizer batches: ours, those of a padded loop, and those of transformers' Trainer."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.sentences import Sentences
from stilts.model.device import best_device
from stilts.model.encoder import Encoder
from stilts.model.precision import choose, computing
from stilts.train.compaction import CompactEmbedding
from stilts.train.loop import Part, _backward
from stilts.train.optimizer import AdamW
from stilts.train.work import Work

SETTINGS = {"learning_rate": 1e-4, "warmup_ratio": 0.0, "weight_decay": 0.01, "max_grad_norm": 1.0, "adam_beta1": 0.9}
SETTINGS |= {"adam_beta2": 0.999, "adam_epsilon": 1e-8, "precision": "auto"}
CLOSE = {"fp32": 1e-4, "bf16": 5e-2}  # losses are of the order of 1
Steps = Callable[[], list[float]]


def ours(encoder: Encoder, head: nn.Module, items: Sentences, batches: list[np.ndarray], used=None) -> Steps:
    """Return a function that trains a step a batch and returns the losses; used: ids of the embedding rows to train."""
    if used is not None:
        rows = torch.from_numpy(np.union1d([0], used).astype(np.int64)).to(encoder.device)
        encoder.embeddings.word_embeddings = CompactEmbedding(encoder.embeddings.word_embeddings, rows.cpu())
        encoder.to(best_device())
    precision = choose(SETTINGS["precision"], encoder.device)
    part = Part("sentences", items, head, Work("pair_classification", 3))
    optimizer = AdamW([*encoder.parameters(), *head.parameters()], 10**6, SETTINGS)

    def run() -> list[float]:
        encoder.train(), head.train()
        losses = []
        for chosen in batches:
            losses.append(_backward(encoder, part, chosen, precision))
            optimizer.step()
        return losses

    return run


def padded_loop(
    model: nn.Module, items: Sentences, batches: list[np.ndarray], pieces: int = 1, length: int | None = None
) -> Steps:
    """Return the same for transformers' model: batches in pieces padded to `length`, or to their longest sentence."""
    adam = torch.optim.AdamW(model.parameters(), lr=SETTINGS["learning_rate"], weight_decay=0.01, fused=True)
    precision = choose(SETTINGS["precision"], model.device)

    def run() -> list[float]:
        model.train()
        losses = []
        for chosen in batches:
            total = 0.0
            for piece in np.split(chosen, pieces):
                with computing(precision, model.device):
                    loss = model(**items.padded(piece, length)).loss / pieces
                loss.backward()
                total += loss.item()
            torch.nn.utils.clip_grad_norm_(model.parameters(), SETTINGS["max_grad_norm"])
            adam.step()
            adam.zero_grad()
            losses.append(total)
        return losses

    return run


def trainer(model: nn.Module, items: Sentences, batches: list[np.ndarray]) -> Steps:
    """Return the same by transformers' Trainer, its defaults but for the order of the data and a constant rate."""
    from transformers import PrinterCallback, Trainer, TrainingArguments

    class InOrder(Trainer):
        """Takes the batches as they come; pads each to its longest sentence."""

        losses: list[torch.Tensor]

        def get_train_dataloader(self) -> Any:
            return torch.utils.data.DataLoader(batches, batch_size=None, collate_fn=items.padded)

        def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
            loss = super().compute_loss(*args, **kwargs)
            self.losses.append((loss[0] if isinstance(loss, tuple) else loss).detach())
            return loss

    folder = tempfile.mkdtemp(prefix="benchmark-")
    arguments = TrainingArguments(
        folder,
        max_steps=len(batches),
        per_device_train_batch_size=len(batches[0]),
        learning_rate=SETTINGS["learning_rate"],
        weight_decay=SETTINGS["weight_decay"],
        lr_scheduler_type="constant",
        bf16=choose(SETTINGS["precision"], model.device) == "bf16",
        use_cpu=model.device.type == "cpu",
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
    )

    def run() -> list[float]:
        made = InOrder(model, arguments, train_dataset=list(batches))
        made.remove_callback(PrinterCallback)
        made.losses = []
        made.train()
        return [loss.item() for loss in made.losses]

    return run


def differ(told: dict[str, list[float]], side: str = "ours") -> float:
    """Return the largest difference of the losses of one side to those of the others."""
    return max(float(np.abs(np.subtract(losses, told[side])).max()) for losses in told.values())
