"""Number formats of an encoder at prediction. Heads, norms of int8 and everything trained stay in fp32.

fp32: as trained. bf16: weights and states. int8: the linear layers multiply 8-bit integers, every row of their input
and every row of their weights with a scale of its own (symmetric, 127 steps), summed exactly in int32. fp8: the same
with e4m3 numbers (448 at most), the rest in bf16. A row's scale depends on no other row, so how sequences are put into
batches changes nothing beyond rounding. No package but torch is needed.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from stilts.errors import UserError
from stilts.model.encoder import Encoder, SelfAttention

FP8_CAPABILITY = (8, 9)  # Ada and Hopper


class QuantisedLinear(nn.Module):
    """A linear layer with weights in a narrow format and one scale an output; the input is narrowed row by row."""

    def __init__(self, weight: Tensor, bias: Tensor, kind: torch.dtype):
        super().__init__()
        self.kind, self.top = kind, 127.0 if kind == torch.int8 else torch.finfo(kind).max
        narrow, scale = self.narrow(weight)
        self.register_buffer("weight", narrow)
        self.register_buffer("scale", scale)
        self.register_buffer("bias", bias.detach().float())

    def narrow(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return x [rows, width] in the narrow format and the scales [rows, 1] that undo it."""
        x = x.detach().float()
        scale = x.abs().amax(1, keepdim=True).clamp_min_(1e-12).div_(self.top)
        y = x / scale
        return (y.round_() if self.kind == torch.int8 else y).to(self.kind), scale

    def forward(self, x: Tensor) -> Tensor:
        """Return [rows, outputs] in the format of x."""
        narrow, scale = self.narrow(x)
        if self.kind == torch.int8:
            product = torch._int_mm(narrow, self.weight.t()).float().mul_(scale)
            return torch.addcmul(self.bias, product, self.scale.t())
        product = torch._scaled_mm(narrow, self.weight.t(), scale, self.scale.t(), out_dtype=torch.bfloat16)
        return (product.float() + self.bias).to(x.dtype)


def set_precision(encoder: Encoder, precision: str, device: torch.device) -> None:
    """Change an encoder in place so that it computes in a precision; it can only predict afterwards.

    Raises UserError, before anything is computed, where the device cannot: nothing falls back to fp32.
    """
    if precision not in ("fp32", "bf16", "int8", "fp8"):
        raise ValueError(f"no precision {precision}")
    if precision == "int8" and device.type != "cpu":
        raise UserError(f"precision int8 is for CPUs and this job runs on {device}: {_ADVICE}")
    if precision == "fp8" and (device.type != "cuda" or torch.cuda.get_device_capability(device) < FP8_CAPABILITY):
        here = torch.cuda.get_device_name(device) if device.type == "cuda" else "the CPU"
        raise UserError(
            f"precision fp8 needs a GPU of compute capability 8.9 or newer and this job runs on {here}: {_ADVICE}"
        )
    if precision in ("bf16", "fp8"):
        encoder.to(torch.bfloat16)
    if precision in ("int8", "fp8"):
        _quantise(encoder, torch.int8 if precision == "int8" else torch.float8_e4m3fn)


_ADVICE = "take it out of budget.precisions, or run these points on a device that has it"


class QuantisedAttention(SelfAttention):
    """Self-attention whose three projections are one quantised layer."""

    def __init__(self, attention: SelfAttention, kind: torch.dtype):
        nn.Module.__init__(self)
        parts = (attention.query, attention.key, attention.value)
        weight, bias = torch.cat([p.weight for p in parts]), torch.cat([p.bias for p in parts])
        self.heads, self.joint = attention.heads, QuantisedLinear(weight, bias, kind)

    def project(self, x: Tensor) -> Tensor:
        """Return queries, keys and values side by side, [N, 3 * hidden]."""
        return self.joint(x)


def _quantise(encoder: Encoder, kind: torch.dtype) -> None:
    for layer in encoder.layers:
        layer.attention.self = QuantisedAttention(layer.attention.self, kind)
        for owner in (layer.attention.output, layer.intermediate, layer.output):
            owner.dense = QuantisedLinear(owner.dense.weight, owner.dense.bias, kind)
