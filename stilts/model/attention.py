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

from stilts.model.layout import Blocks, Layout

SWITCH = "STILTS_ATTENTION"


def attend(qkv: Tensor, layout: Layout, heads: int, dropout: float) -> Tensor:
    """Return softmax(q k^T / sqrt(size)) v inside each sequence, [rows, hidden].

    qkv: queries, keys and values side by side, [rows, 3 * hidden]; dropout: on the attention weights.
    """
    nested = qkv.is_cuda and os.environ.get(SWITCH) != "padded"
    return (attend_nested if nested else attend_padded)(qkv, layout, heads, dropout)


def attend_padded(qkv: Tensor, layout: Layout, heads: int, dropout: float) -> Tensor:
    """Attend in padded blocks of sequences of similar length."""
    return _Blocks.apply(qkv, layout.blocks(heads), dropout)


class _Blocks(torch.autograd.Function):
    """Batched products in every block: short sequences take half the CPU time of torch's fused attention.

    Rows come and go by index, head by head, and products write where their results are read from next. In the backward
    pass too: every row of a sequence is taken exactly once, and the others get no gradient from above.
    """

    @staticmethod
    def forward(ctx, qkv: Tensor, blocks: Blocks, dropout: float) -> Tensor:
        taken = blocks.take(qkv, 3)
        mixed, rooms = blocks.room(taken[0], 1)
        ctx.blocks, ctx.kept = blocks, []
        ctx.scale, ctx.left_scale = mixed.shape[1] ** -0.5, 1.0 / (1.0 - dropout)
        for (q, k, v), (room,), mask in zip(taken, rooms, blocks.masks, strict=True):
            added = q.new_empty(1) if mask is None else mask.to(q.dtype)
            scores = torch.baddbmm(added, q, k.mT, beta=0 if mask is None else 1, alpha=ctx.scale)
            weights = torch.softmax(scores, -1)
            used, left = torch.native_dropout(weights, dropout, True) if dropout else (weights, None)
            torch.bmm(used.to(v.dtype), v, out=room)
            if ctx.needs_input_grad[0]:
                ctx.kept.append((q, k, v, weights, used, left))
        return blocks.back(mixed, 1)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple:
        taken = ctx.blocks.take(grad, 1)
        below, rooms = ctx.blocks.room(taken[0], 3)
        for (slope,), room, kept in zip(taken, rooms, ctx.kept, strict=True):
            q, k, v, weights, used, left = kept
            for_weights = torch.bmm(slope, v.mT)
            if left is not None:
                for_weights = torch.ops.aten.native_dropout_backward(for_weights, left, ctx.left_scale)
            for_scores = torch._softmax_backward_data(for_weights.to(weights.dtype), weights, -1, weights.dtype)
            for_scores, (for_q, for_k, for_v) = for_scores.to(q.dtype), room
            torch.baddbmm(for_q, for_scores, k, beta=0, alpha=ctx.scale, out=for_q)
            torch.baddbmm(for_k, for_scores.mT, q, beta=0, alpha=ctx.scale, out=for_k)
            torch.bmm(used.mT.to(slope.dtype), slope, out=for_v)
        return ctx.blocks.back(below, 3), None, None


def attend_nested(qkv: Tensor, layout: Layout, heads: int, dropout: float) -> Tensor:
    """Attend by nested tensors; the rows behind the sequences are sequences too."""
    offsets, shortest, longest = layout.pieces
    q, k, v = (
        torch.nested.nested_tensor_from_jagged(x, offsets, min_seqlen=shortest, max_seqlen=longest).transpose(1, 2)
        for x in qkv.view(layout.rows, 3, heads, -1).transpose(0, 1).contiguous()
    )
    return F.scaled_dot_product_attention(q, k, v, dropout_p=dropout).transpose(1, 2).values().flatten(1)
