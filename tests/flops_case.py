"""Operations as torch counts them, on attention as the two products it is."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode


def eager_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, dropout: float = 0.0) -> Tensor:
    """Return what scaled_dot_product_attention does; the counter has no formula for the CPU's fused one."""
    scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    scores = scores if mask is None else scores.masked_fill(~mask, float("-inf"))
    return scores.softmax(-1) @ v


def count(run: Callable[[], object], monkeypatch) -> int:
    """Return the operations of a call."""
    with monkeypatch.context() as patch, FlopCounterMode(display=False) as counter:
        patch.setattr(F, "scaled_dot_product_attention", eager_attention)
        run()
    return counter.get_total_flops()
