"""How torch runs here: deterministic, with the threads the scheduler gave."""

from __future__ import annotations

import torch


def prepare_torch(threads: int) -> None:
    """Set the CPU threads and switch on what makes a run repeatable on one machine."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
