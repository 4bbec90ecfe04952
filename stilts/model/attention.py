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
    return _Blocks.apply(qkv, layout.blocks, heads, dropout)


class _Blocks(torch.autograd.Function):
    """Batched products in every block: short sequences take half the CPU time of torch's fused attention.

    Rows come and go by index, in the backward pass too: every row of a sequence is taken exactly once, and the others
    get no gradient from above.
    """

    @staticmethod
    def forward(ctx, qkv: Tensor, blocks: Blocks, heads: int, dropout: float) -> Tensor:
        slots = qkv.index_select(0, blocks.take)
        out = slots.new_zeros(len(slots), qkv.shape[1] // 3)
        ctx.blocks, ctx.heads, ctx.scale, ctx.kept = blocks, heads, 1.0 / (1.0 - dropout), []
        for ours, mixed, mask in zip(
            _by_head(slots, blocks, 3, heads), _by_head(out, blocks, 1, heads), blocks.masks, strict=True
        ):
            _, n, _, length, size = ours.shape
            q, k, v = ours.reshape(3, n * heads, length, size)
            scores = torch.bmm(q.mul_(size**-0.5), k.mT)
            if mask is not None:
                scores.view(n, heads * length, length).add_(mask)
            weights = torch.softmax(scores, -1)
            used, left = torch.native_dropout(weights, dropout, True) if dropout else (weights, None)
            mixed[0] = torch.bmm(used, v).view(n, heads, length, size)
            if ctx.needs_input_grad[0]:
                ctx.kept.append((q, k, v, weights, used, left))
        return out.index_select(0, blocks.back)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple:
        slots = grad.index_select(0, ctx.blocks.take)
        out = slots.new_zeros(len(slots), grad.shape[1] * 3)
        above, below = _by_head(slots, ctx.blocks, 1, ctx.heads), _by_head(out, ctx.blocks, 3, ctx.heads)
        for theirs, ours, (q, k, v, weights, used, left) in zip(above, below, ctx.kept, strict=True):
            slope = theirs.reshape(q.shape)
            for_weights = torch.bmm(slope, v.mT)
            if left is not None:
                for_weights = torch.ops.aten.native_dropout_backward(for_weights, left, ctx.scale)
            for_scores = torch._softmax_backward_data(for_weights, weights, -1, weights.dtype)
            ours[0] = torch.bmm(for_scores, k).mul_(q.shape[-1] ** -0.5).view(theirs.shape[1:])
            ours[1] = torch.bmm(for_scores.mT, q).view(theirs.shape[1:])
            ours[2] = torch.bmm(used.mT, slope).view(theirs.shape[1:])
        return out.index_select(0, ctx.blocks.back), None, None, None


def _by_head(slots: Tensor, blocks: Blocks, parts: int, heads: int) -> list[Tensor]:
    """Return a view of the slots of each block, [parts, sequences, heads, length, size]; slots: of that many parts."""
    pieces = slots[:-1].split([n * length for n, length in blocks.shapes])
    return [
        piece.view(*shape, parts, heads, -1).permute(2, 0, 3, 1, 4)
        for piece, shape in zip(pieces, blocks.shapes, strict=True)
    ]


def attend_nested(qkv: Tensor, layout: Layout, heads: int, dropout: float) -> Tensor:
    """Attend by nested tensors; the rows behind the sequences are sequences too."""
    offsets, shortest, longest = layout.pieces
    q, k, v = (
        torch.nested.nested_tensor_from_jagged(x, offsets, min_seqlen=shortest, max_seqlen=longest).transpose(1, 2)
        for x in qkv.view(layout.rows, 3, heads, -1).transpose(0, 1).contiguous()
    )
    return F.scaled_dot_product_attention(q, k, v, dropout_p=dropout).transpose(1, 2).values().flatten(1)
