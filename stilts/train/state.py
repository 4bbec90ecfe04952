"""The state of a training run: all that it needs to go on after a step."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor, nn

from stilts.errors import UserError
from stilts.train.optimizer import AdamW

NUMBERS = ("step", "best", "best_step", "waited", "losses")


@dataclass
class State:
    """All that a run needs to go on after a step, beside what its spec gives again.

    step: steps done; best, best_step, kept: score, step and weights of the best model so far; waited: evaluations
    since; losses: of the last steps. counters: objects with further counts as attributes. generators, queues: what
    draws items at random.
    """

    modules: nn.Module
    optimizer: AdamW
    best_step: int = 0
    step: int = 0
    best: float | None = None
    kept: dict[str, Tensor] | None = None
    waited: int = 0
    losses: list[float] = field(default_factory=list)
    counters: list[Any] = field(default_factory=list)
    generators: list[np.random.Generator] = field(default_factory=list)
    queues: list[np.ndarray] = field(default_factory=list)

    def numbers(self) -> dict[str, Any]:
        """Return what the run has counted."""
        return {**{name: getattr(self, name) for name in NUMBERS}, "counters": [vars(c).copy() for c in self.counters]}

    def count_on(self, numbers: dict[str, Any]) -> None:
        """Take over what an earlier attempt had counted."""
        for name in NUMBERS:
            setattr(self, name, numbers[name])
        for counter, counts in zip(self.counters, numbers["counters"], strict=True):
            vars(counter).update(counts)

    def moved(self) -> dict[str, Tensor]:
        """Return the tensors that training changes in place: weights, moments, counts."""
        named = {f"module.{k}": v for k, v in self.modules.named_parameters()}
        named |= {f"buffer.{k}": v for k, v in self.modules.named_buffers()}
        for n, slot in enumerate(self.optimizer.slots):
            named |= {f"first.{n}": slot.first, f"second.{n}": slot.second, f"count.{n}": slot.count}
        return named

    def drawn(self) -> dict[str, Tensor]:
        """Return the tensors that are made anew at a restart: the kept weights, queues, torch's random states."""
        named = {f"kept.{k}": v for k, v in (self.kept or {}).items()}
        named |= {f"queue.{n}": torch.from_numpy(queue) for n, queue in enumerate(self.queues)}
        named["random.cpu"] = torch.get_rng_state()
        if torch.cuda.is_available():
            named["random.cuda"] = torch.cuda.get_rng_state()
        return named

    def facts(self) -> dict[str, Any]:
        """Return what is no tensor."""
        generators = [g.bit_generator.state for g in self.generators]
        return {"numbers": self.numbers(), "done": self.optimizer.done, "generators": generators}

    @torch.no_grad()
    def put_back(self, path: Path, facts: dict[str, Any]) -> None:
        """Take over the state of a checkpoint, tensor by tensor; raises UserError where it is another model's."""
        with safe_open(path, framework="pt") as file:
            names, moved = set(file.keys()), self.moved()
            strange = [k for k, v in moved.items() if k not in names or file.get_slice(k).get_shape() != list(v.shape)]
            if strange or len(facts["generators"]) != len(self.generators):
                raise UserError(f"{path} does not fit the model ({strange[:1]}): delete {path.parent} and run again")
            for name, tensor in moved.items():
                tensor.copy_(file.get_tensor(name))
            device = next(self.modules.parameters()).device
            kept = [k for k in names if k.startswith("kept.")]
            self.kept = {k.removeprefix("kept."): file.get_tensor(k).to(device, copy=True) for k in kept} or None
            self.queues[:] = [file.get_tensor(f"queue.{n}").clone().numpy() for n in range(len(self.queues))]
            torch.set_rng_state(file.get_tensor("random.cpu"))
            if "random.cuda" in names and torch.cuda.is_available():
                torch.cuda.set_rng_state(file.get_tensor("random.cuda"))
        for generator, state in zip(self.generators, facts["generators"], strict=True):
            generator.bit_generator.state = state
        self.optimizer.done = facts["done"]
