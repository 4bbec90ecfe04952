"""AdamW with linear warm-up and decay.

Calls torch's fused kernel directly: `torch.optim` imports the compiler on first use, which costs more CPU time
than a short run. STILTS_ADAMW=plain in the environment takes the formula instead of the kernel. Tests compare every
step of both with `torch.optim.AdamW`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

SWITCH = "STILTS_ADAMW"


@dataclass
class Slot:
    """One parameter and its state: first and second moment, and how often it moved."""

    parameter: nn.Parameter
    decay: float
    first: Tensor = field(init=False)
    second: Tensor = field(init=False)
    count: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.first, self.second = torch.zeros_like(self.parameter), torch.zeros_like(self.parameter)
        self.count = torch.zeros((), device=self.parameter.device)


class AdamW:
    """Decoupled weight decay Adam (Loshchilov and Hutter 2019) on fp32 parameters.

    Biases and layer norms get no weight decay. `steps` optimizer steps are planned; step k (from 0) uses
    learning_rate * factor(k), which rises over warmup_ratio of the steps, then falls linearly to 0.
    """

    def __init__(self, parameters: list[nn.Parameter], steps: int, settings: dict):
        self.slots = [Slot(p, settings["weight_decay"] if p.dim() > 1 else 0.0) for p in parameters]
        self.settings, self.steps, self.done = settings, steps, 0
        self.warmup = round(settings["warmup_ratio"] * steps)

    @property
    def parameters(self) -> list[nn.Parameter]:
        """What is optimized."""
        return [slot.parameter for slot in self.slots]

    def factor(self, step: int) -> float:
        """Return the share of the peak learning rate at a step counted from 0."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        return max(0.0, (self.steps - step) / max(1, self.steps - self.warmup))

    @torch.no_grad()
    def step(self) -> float:
        """Clip the gradients, update the parameters, forget the gradients; return the gradient norm before clipping.

        A parameter without a gradient (the head of a task that did not take part) is left as it is.
        """
        s = self.settings
        live = [slot for slot in self.slots if slot.parameter.grad is not None]
        for slot in live:  # backward may leave another layout, which the kernel misreads and sums in another order
            slot.parameter.grad = slot.parameter.grad.contiguous()
        norm = torch.stack(torch._foreach_norm([slot.parameter.grad for slot in live])).norm()
        too_long = ((norm + 1e-6) / s["max_grad_norm"]).clamp_min(1.0)
        rate = s["learning_rate"] * self.factor(self.done)
        self.done += 1
        if os.environ.get(SWITCH) == "plain":
            self._plain(live, rate, too_long)
        else:
            self._fused(live, rate, too_long)
        for slot in live:
            slot.parameter.grad = None
        return float(norm)

    def _fused(self, live: list[Slot], rate: float, too_long: Tensor) -> None:
        """Update by torch's kernel; gradients are divided by `too_long`."""
        s = self.settings
        for decay in sorted({slot.decay for slot in live}):
            group = [slot for slot in live if slot.decay == decay]
            torch._foreach_add_([slot.count for slot in group], 1)
            torch._fused_adamw_(
                [slot.parameter for slot in group],
                [slot.parameter.grad for slot in group],
                [slot.first for slot in group],
                [slot.second for slot in group],
                [],
                [slot.count for slot in group],
                lr=rate,
                beta1=s["adam_beta1"],
                beta2=s["adam_beta2"],
                weight_decay=decay,
                eps=s["adam_epsilon"],
                amsgrad=False,
                maximize=False,
                grad_scale=too_long,
            )

    def _plain(self, live: list[Slot], rate: float, too_long: Tensor) -> None:
        """Update by the formula (Loshchilov and Hutter 2019, algorithm 2), one parameter after the other."""
        s = self.settings
        beta1, beta2 = s["adam_beta1"], s["adam_beta2"]
        for slot in live:
            grad = slot.parameter.grad / too_long
            slot.count += 1
            slot.first.lerp_(grad, 1 - beta1)
            slot.second.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
            size = (slot.second / (1 - beta2**slot.count)).sqrt_().add_(s["adam_epsilon"])
            slot.parameter.mul_(1 - rate * slot.decay)
            slot.parameter.sub_(rate / (1 - beta1**slot.count) * slot.first / size)
