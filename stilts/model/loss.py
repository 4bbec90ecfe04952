"""Cross-entropy over a large vocabulary without all its logits at once."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

LOGITS = 2**24  # computed at once; 64 MB in fp32, and as much again for their gradient


def vocabulary_loss(states: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """Return the summed cross-entropy of logits states [M, hidden] @ weight [V, hidden].T + bias [V] to targets [M]."""
    return _Chunked.apply(states, weight, bias, targets)


class _Chunked(torch.autograd.Function):
    """Gradients are made in the forward pass, where the logits of a chunk are at hand, and scaled in the backward."""

    @staticmethod
    def forward(ctx, states: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
        wanted = any(ctx.needs_input_grad)
        made = [torch.zeros_like(t) for t in (states, weight, bias)] if wanted else []
        loss = torch.zeros((), device=states.device)
        rows = max(1, LOGITS // len(weight))
        for start in range(0, len(states), rows):
            part, right = states[start : start + rows], targets[start : start + rows]
            logs = F.log_softmax(F.linear(part, weight, bias).float(), 1)
            loss += F.nll_loss(logs, right, reduction="sum")
            if wanted:
                slope = logs.exp_()
                slope[torch.arange(len(right), device=right.device), right] -= 1.0
                made[0][start : start + rows] = slope @ weight
                made[1] += slope.t() @ part
                made[2] += slope.sum(0)
        ctx.made = made
        return loss

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple:
        made, ctx.made = ctx.made, None  # scaled in place: a second backward pass must fail
        return *(t.mul_(grad) for t in made), None
