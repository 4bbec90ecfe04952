"""Our attention in transformers' own models: packed sequences that do not see each other.

transformers builds no mask for packed sequences of an encoder: without FlashAttention's packages, they leak into one
another. With `attn_implementation=register()` its encoders take them on any device, attention dropout included.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.weak import WeakTensorKeyDictionary

from stilts.errors import UserError
from stilts.model.attention import attend
from stilts.model.layout import Layout

NAME = "stilts"
_layouts: WeakTensorKeyDictionary = WeakTensorKeyDictionary()  # offsets -> their layout: all layers of a batch share it


def register() -> str:
    """Make our attention known to transformers; return its name, as `from_pretrained` takes it."""
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(NAME, _attend)
    AttentionMaskInterface.register(NAME, lambda *_, **__: None)
    return NAME


def packed(ids: Tensor, lengths: Tensor, pad_token_id: int = 1) -> dict[str, Tensor]:
    """Return what an XLM-R model of transformers takes for flat ids [N] of sequences of given lengths [B].

    It is one row; the names of the offsets are those that transformers has for FlashAttention.
    """
    layout = Layout(lengths.cpu(), ids.device)
    offsets = F.pad(layout.lengths.cumsum(0), (1, 0)).int()
    _layouts[offsets] = layout
    positions = layout.positions + pad_token_id + 1  # RoBERTa counts from behind the padding index
    return {"input_ids": ids[None], "position_ids": positions[None], "cu_seq_lens_q": offsets, "cu_seq_lens_k": offsets}


def _attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    cu_seq_lens_q: Tensor | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attend as `transformers.AttentionInterface` asks: [1, heads, N, size] each, to [1, N, heads, size]."""
    rows, heads, tokens, size = query.shape
    if cu_seq_lens_q is None or rows != 1:
        raise UserError(
            f'attention "{NAME}" takes one row of packed sequences and their offsets: call the model with '
            "stilts.model.interface.packed(ids, lengths)"
        )
    if scaling is not None and abs(scaling * size**0.5 - 1) > 1e-6:
        raise UserError(f'attention "{NAME}" divides by the root of the head size; this model scales by {scaling:g}')
    if cu_seq_lens_q not in _layouts:
        _layouts[cu_seq_lens_q] = Layout(cu_seq_lens_q.diff().long().cpu(), query.device)
    layout = _layouts[cu_seq_lens_q]
    qkv = torch.cat([x[0].transpose(0, 1).flatten(1) for x in (query, key, value)], 1)
    mixed = attend(F.pad(qkv, (0, 0, 0, layout.rows - tokens)), layout, heads, dropout)
    return mixed[:tokens].view(1, tokens, heads, size), None
