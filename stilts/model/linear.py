"""Linear layers: torch's own, except in fp32 on a CPU, where oneDNN multiplies.

torch hands fp32 products to MKL, whose kernels for other makers' processors leave AVX-512 unused: half the speed of
oneDNN's, which come with torch as well. STILTS_LINEAR=torch in the environment takes torch's everywhere.
"""

from __future__ import annotations

import os

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SWITCH = "STILTS_LINEAR"
LITTLE = 2**22  # multiplications below which what surrounds a call of oneDNN costs more than it saves
ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return x [rows, in] @ weight [out, in].T + bias [out]."""
    little = len(x) * weight.numel() < LITTLE
    plain = (
        little
        or not ONEDNN
        or os.environ.get(SWITCH) == "torch"
        or x.is_cuda
        or x.dtype != torch.float32
        or torch.is_autocast_enabled("cpu")
        or torch.compiler.is_compiling()  # the compiler has products of its own
    )
    return F.linear(x, weight, bias) if plain else _Linear.apply(x, weight, bias)


class Linear(nn.Linear):
    """`nn.Linear` by `linear`."""

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _times(x, weight, bias)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple:
        x, weight = ctx.saved_tensors
        for_x, for_weight, for_bias = ctx.needs_input_grad
        return (
            _times(grad, weight.t()) if for_x else None,
            _outer(grad, x) if for_weight else None,
            grad.sum(0) if for_bias else None,
        )


def _times(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return x @ weight.T + bias; x is copied if its rows do not lie end to end."""
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


def _outer(grad: Tensor, x: Tensor) -> Tensor:
    """Return grad.T @ x, copying the narrower of both."""
    return _times(grad.t(), x.t()) if grad.shape[1] <= x.shape[1] else _times(x.t(), grad.t()).t()
