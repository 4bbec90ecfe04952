"""How torch runs here: on the GPU the scheduler gave, else on its CPU threads; in fp32 on both."""

from __future__ import annotations

import torch


def prepare_torch(threads: int) -> None:
    """Set the CPU threads and the generators, so that a run is repeatable on one machine."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)


def best_device() -> torch.device:
    """Return the visible GPU (CUDA_VISIBLE_DEVICES is the scheduler's), else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
