"""Operations as torch counts them, on attention as the two products it is."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from stilts.model import layout, linear


def eager_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, dropout: float = 0.0) -> Tensor:
    """Return what scaled_dot_product_attention does; the counter has no formula for the CPU's fused one."""
    scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    return (scores if mask is None else scores + mask).softmax(-1) @ v


def count(run: Callable[[], object], monkeypatch) -> int:
    """Return the operations of a call.

    Every pass of the encoder has one row that belongs to no sequence; here it has no more than that.
    """
    with monkeypatch.context() as patch, FlopCounterMode(display=False) as counter:
        patch.setattr(F, "scaled_dot_product_attention", eager_attention)
        patch.setattr(linear, "ONEDNN", False)
        patch.setattr(layout, "ROWS", 1)
        run()
    return counter.get_total_flops()
