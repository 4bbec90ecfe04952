"""The training loop: one for every kind and for several tasks at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stilts.errors import UserError
from stilts.model.device import best_device
from stilts.model.encoder import Encoder, Layout
from stilts.model.precision import choose, computing
from stilts.progress import Progress
from stilts.tokens.dual import DualItems
from stilts.tokens.sequences import Batch, Items, token_budget_batches
from stilts.train.optimizer import AdamW
from stilts.train.plan import Plan
from stilts.train.resume import Checkpoints
from stilts.train.state import State
from stilts.train.work import Work

MICRO_BATCH = 16384  # padded tokens computed at once; splitting does not change the loss


@dataclass
class Part:
    """One task of a run: items, head, what was computed, and how it is judged on source-language dev data (percent).

    sub_words: the ids that its items and its dev data may hold, sorted; None where any may turn up.
    """

    name: str
    items: Items | DualItems
    head: nn.Module
    work: Work
    evaluate: Callable[[Encoder, nn.Module], float] | None = None
    sub_words: np.ndarray | None = None


@dataclass
class Outcome:
    """What a run reports: steps done, real tokens seen, the dev score of the kept model and its step, the precision."""

    steps: int
    tokens: int
    dev: float | None
    best_step: int
    precision: str

    def facts(self) -> dict[str, Any]:
        """Return the facts of the manifest; what depends on the device goes to run.json."""
        facts = vars(self).copy()
        run = {"precision": facts.pop("precision")}
        return {**facts, "run": run}


def train(
    encoder: Encoder,
    parts: list[Part],
    plan: Plan,
    settings: dict[str, Any],
    history: Path,
    checkpoints: Checkpoints | None = None,
) -> Outcome:
    """Train encoder and heads in place over the plan, keeping the best model on source-language dev data.

    settings: the optimizer's and the selection's keys of `stilts.config.models.Training`. history: JSON lines of step,
    loss (mean over the real targets of the step), learning-rate factor, gradient norm and dev scores. checkpoints:
    where the run goes on from and saves its state. Raises UserError when the loss is not finite, SystemExit when a
    signal stopped it.
    """
    modules = nn.ModuleList([encoder, *(p.head for p in parts)]).to(best_device())
    precision = choose(settings["precision"], encoder.device)
    optimizer = AdamW([p for p in modules.parameters() if p.requires_grad], len(plan), settings)
    encoder.dropout = settings["dropout"]
    judged = settings["eval_every"] and any(p.evaluate for p in parts)
    counters = [p.work for p in parts]
    state = State(modules, optimizer, best_step=len(plan), counters=counters)
    checkpoints = checkpoints or Checkpoints()
    modules.train()
    with checkpoints.run(state, history) as log, Progress("train", len(plan), state.step) as progress:
        for t, chosen in plan[state.step :]:
            if state.waited >= settings["patience"]:
                break
            state.step = step = state.step + 1
            rate = optimizer.factor(optimizer.done)
            loss = _backward(encoder, parts[t], chosen, precision)
            norm = optimizer.step()
            if not np.isfinite([loss, norm]).all():
                raise UserError(
                    f"training diverged: the loss of step {step} ({parts[t].name}) is {loss}, the norm of its "
                    f"gradient {norm}. Lower learning_rate or max_grad_norm."
                )
            record = {
                "step": step,
                "task": parts[t].name,
                "loss": round(loss, 6),
                "rate": round(rate, 6),
                "norm": round(norm, 6),
            }
            progress.update(loss=loss)
            if judged and (step % settings["eval_every"] == 0 or step == len(plan)):
                record["dev"] = score = _dev_score(encoder, parts)
                modules.train()
                if state.best is None or score > state.best:
                    state.best, state.best_step, state.kept, state.waited = score, step, _snapshot(modules), 0
                else:
                    state.waited += 1
            log.write(json.dumps(record) + "\n")
            checkpoints.after_step(state, len(plan))
    if state.kept is not None:
        modules.load_state_dict(state.kept)
    return Outcome(state.step, sum(p.work.tokens for p in parts), state.best, state.best_step, precision)


def _backward(encoder: Encoder, part: Part, chosen: np.ndarray, precision: str = "fp32") -> float:
    """Add the gradients of one optimizer batch; return its loss.

    The batch may be split to fit in memory: every piece is divided by the real targets of the whole batch. A dual
    encoder's is not: its loss compares all pairs of the batch.
    """
    pieces = [np.arange(len(chosen))]
    if not part.items.whole:
        pieces = token_budget_batches(part.items.lengths[chosen], MICRO_BATCH, part.items.choices)
    batches = [part.items.batch(chosen[piece]) for piece in pieces]
    total = sum(batch.count for batch in batches)
    losses = []
    part.work.steps += 1
    for batch in batches:
        part.work.add(batch.lengths, batch.count, part.head.compared(batch.count) if part.items.whole else 0)
        with computing(precision, encoder.device):
            summed = batch_loss(encoder, part.head, batch) / max(1, total)
        summed.backward()
        losses.append(summed.detach())
    return sum(x.item() for x in losses)


def batch_loss(encoder: Encoder, head: nn.Module, batch: Batch) -> Tensor:
    """Return the loss of a batch, summed over its real targets."""
    layout = Layout(torch.from_numpy(batch.lengths), encoder.device)
    states = encoder(torch.from_numpy(batch.ids).to(encoder.device), layout)
    targets = {k: torch.from_numpy(v).to(encoder.device) for k, v in batch.targets.items()}
    return head.loss(states, layout, **targets)[0]


def _dev_score(encoder: Encoder, parts: list[Part]) -> float:
    scores = [p.evaluate(encoder, p.head) for p in parts if p.evaluate]
    return round(float(np.mean(scores)), 6)


def _snapshot(modules: nn.Module) -> dict[str, Tensor]:
    return {k: v.detach().clone() for k, v in modules.state_dict().items()}
