"""The number format of training: bf16 products over fp32 weights where the device computes them fast, else fp32."""

from __future__ import annotations

import contextlib

import torch


def choose(wanted: str, device: torch.device) -> str:
    """Return fp32 or bf16 for a `precision` of the settings (auto, fp32, bf16), and print the reason."""
    name, reason = wanted, "as the settings say"
    if wanted == "auto":
        fast = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        name = "bf16" if fast else "fp32"
        kind = torch.cuda.get_device_name(device) if device.type == "cuda" else "a CPU"
        reason = f"{kind} {'has units for it' if fast else 'trains in it alone unless the settings say otherwise'}"
    print(f"training in {name}: {reason}", flush=True)
    return name


def computing(precision: str, device: torch.device) -> contextlib.AbstractContextManager:
    """Return the context of a forward pass: torch's autocast for bf16. Weights, norms, losses and updates stay fp32."""
    if precision == "bf16":
        return torch.autocast(device.type, torch.bfloat16)
    return contextlib.nullcontext()
