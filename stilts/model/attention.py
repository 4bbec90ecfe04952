"""Attention inside each of many flat sequences; no sequence sees another.

On a GPU torch's nested tensors take sequences of any length as they are, dropout included. Elsewhere, and everywhere
with STILTS_ATTENTION=padded in the environment, sequences of similar length make one padded block. Both give the same
numbers up to rounding (and other draws of dropout).
"""

from __future__ import annotations

import os

import torch
import torch.nn.functional as F
from torch import Tensor

from stilts.model.layout import Layout

SWITCH = "STILTS_ATTENTION"


def attend(qkv: Tensor, layout: Layout, heads: int, dropout: float) -> Tensor:
    """Return softmax(q k^T / sqrt(size)) v inside each sequence, [rows, hidden].

    qkv: queries, keys and values side by side, [rows, 3 * hidden]; dropout: on the attention weights.
    """
    nested = qkv.is_cuda and os.environ.get(SWITCH) != "padded"
    return (attend_nested if nested else attend_padded)(qkv, layout, heads, dropout)


def attend_padded(qkv: Tensor, layout: Layout, heads: int, dropout: float) -> Tensor:
    """Attend in padded blocks of sequences of similar length."""
    blocks, done = layout.blocks, []
    slots = _Take.apply(qkv, blocks.take, blocks.back)
    parts = slots[:-1].split([n * longest for n, longest in blocks.shapes])
    for part, shape, mask in zip(parts, blocks.shapes, blocks.masks, strict=True):
        q, k, v = part.view(*shape, 3, heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(q, k, v, mask if mask is None else mask.to(q.dtype), dropout)
        done.append(mixed.transpose(1, 2).reshape(len(part), -1))
    return _Take.apply(torch.cat([*done, torch.zeros_like(done[0][:1])]), blocks.back, blocks.take)


class _Take(torch.autograd.Function):
    """Rows by index. The gradient is taken back by another index instead of being added up in place.

    Right here because every row of a sequence is taken exactly once, and the others get no gradient from above.
    """

    @staticmethod
    def forward(ctx, x: Tensor, index: Tensor, back: Tensor) -> Tensor:
        ctx.back = back
        return x.index_select(0, index)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple:
        return grad.index_select(0, ctx.back), None, None


def attend_nested(qkv: Tensor, layout: Layout, heads: int, dropout: float) -> Tensor:
    """Attend by nested tensors; the rows behind the sequences are one sequence more."""
    rest = layout.rows - layout.total
    offsets = F.pad(layout.starts, (0, 2), value=layout.total)
    offsets[-1] = layout.rows
    bounds = {"min_seqlen": min(int(layout.sizes.min()), rest), "max_seqlen": max(layout.longest, rest)}
    q, k, v = (
        torch.nested.nested_tensor_from_jagged(x, offsets, **bounds).transpose(1, 2)
        for x in qkv.view(layout.rows, 3, heads, -1).transpose(0, 1).contiguous()
    )
    return F.scaled_dot_product_attention(q, k, v, dropout_p=dropout).transpose(1, 2).values().flatten(1)
