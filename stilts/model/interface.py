"""Our attention in transformers' own models: packed sequences that do not see each other.

transformers builds no mask for packed sequences of an encoder: without FlashAttention's packages, they leak into one
another. With `attn_implementation=register()` its encoders whose layers ask this interface for plain attention in both
directions (BERT, RoBERTa, XLM-R, ...) take them on any device, attention dropout included.
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
_layouts: WeakTensorKeyDictionary = WeakTensorKeyDictionary()  # offsets -> state, layout: layers of a batch share it


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
    _layouts[offsets] = _state(offsets), layout
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
    **more: Any,
) -> tuple[Tensor, None]:
    """Attend as `transformers.AttentionInterface` asks: [1, heads, N, size] each, to [1, N, heads, size].

    Raises UserError where the model asks for another attention than each token's to all of its sequence.
    """
    rows, heads, tokens, size = query.shape
    if cu_seq_lens_q is None or rows != 1:
        raise UserError(
            f'attention "{NAME}" takes one row of packed sequences and their offsets: call the model with '
            "stilts.model.interface.packed(ids, lengths)"
        )
    if scaling is not None and abs(scaling * size**0.5 - 1) > 1e-6:
        raise UserError(f'attention "{NAME}" divides by the root of the head size; this model scales by {scaling:g}')
    odd = [name for name in ("sliding_window", "softcap") if more.get(name) is not None]
    odd += ["causal attention"] if getattr(module, "is_causal", False) or more.get("is_causal") else []
    odd += ["keys of another shape than the queries"] if key.shape != query.shape else []
    if odd:
        raise UserError(f'attention "{NAME}" lets each token see all of its sequence; this model asks for {odd[0]}')
    layout = _layout_of(cu_seq_lens_q, query.device)
    qkv = torch.cat([x[0].transpose(0, 1).flatten(1) for x in (query, key, value)], 1)
    mixed = attend(F.pad(qkv, (0, 0, 0, layout.rows - tokens)), layout, heads, dropout)
    return mixed[:tokens].view(1, tokens, heads, size), None


def _layout_of(offsets: Tensor, device: torch.device) -> Layout:
    known, state = _layouts.get(offsets), _state(offsets)
    if known is None or known[0] != state:
        known = _layouts[offsets] = state, Layout(offsets.diff().long().cpu(), device)
    return known[1]


def _state(offsets: Tensor) -> int | list[int]:
    """Return what differs once the offsets do: a buffer may be filled anew."""
    return offsets.tolist() if offsets.is_inference() else offsets._version
