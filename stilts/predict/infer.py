"""Run an encoder and a head over all items: one length-sorted queue, one pass, results in the items' order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from stilts.errors import UserError
from stilts.model.device import best_device
from stilts.model.encoder import Encoder, Layout
from stilts.progress import Progress
from stilts.tokens.sequences import Items, token_budget_batches


def in_batches(lengths: np.ndarray, budget: int, choices: int, run: Callable[[np.ndarray], None]) -> None:
    """Call run(items) on all items, longest first, in batches of similar length within a budget of padded tokens.

    Where the device's memory does not hold a batch, the budget is halved, which is said, and the batch is tried again.
    Raises UserError when a single item does not fit.
    """
    batches = token_budget_batches(lengths, budget, choices)
    while batches:
        try:
            run(batches[0])
        except torch.OutOfMemoryError:
            if len(batches[0]) == 1:
                raise UserError(
                    f"the device's memory does not hold one item of {lengths[batches[0][0]] * choices} tokens: "
                    "use a larger device, or fewer jobs on it at a time (runtime.gpu_share)"
                ) from None
        else:
            del batches[0]
            continue
        budget = min(budget, int(lengths[batches[0][0]]) * choices * len(batches[0])) // 2
        print(f"out of memory on the device: going on with {budget} tokens at once", flush=True)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        left = np.concatenate(batches)
        batches = [left[k] for k in token_budget_batches(lengths[left], budget, choices)]


@torch.no_grad()
def run_head(encoder: Encoder, head: nn.Module, items: Items, budget: int, what: str = "predict") -> list[np.ndarray]:
    """Return the head's output of each item as float32.

    Pairs and choices: logits [labels or choices]. Tagging: logits [sub-words, labels] of a window. Question
    answering: scores [sub-words, 2] of a window; both without the special tokens around the window, but question
    answering keeps the score of `<s>` (no answer) as row 0.
    """
    encoder.eval().to(best_device())
    head.eval().to(encoder.device)
    outputs: list[np.ndarray | None] = [None] * len(items)
    with Progress(what, len(items)) as progress:

        def run(chosen: np.ndarray) -> None:
            batch = items.batch(chosen)
            layout = Layout(torch.from_numpy(batch.lengths), encoder.device)
            states = encoder(torch.from_numpy(batch.ids).to(encoder.device), layout).float()
            scores = head(states, layout).cpu().numpy()
            if items.kind in ("pair_classification", "multiple_choice"):
                parts = list(scores)
            else:
                parts = np.split(scores, np.cumsum(batch.lengths)[:-1])
                parts = [_window(items, int(i), part) for i, part in zip(chosen, parts, strict=True)]
            for i, part in zip(chosen, parts, strict=True):
                outputs[i] = np.array(part, np.float32)  # a copy: slices would keep whole batches alive
            progress.update(len(chosen))

        in_batches(items.lengths, budget, items.choices, run)
    return outputs


def _window(items: Items, item: int, scores: np.ndarray) -> np.ndarray:
    first, last = items.rows[item, 1:]
    if items.kind == "token_tagging":
        return scores[1:-1]
    return np.concatenate([scores[:1], scores[len(scores) - 1 - (last - first) : -1]])
