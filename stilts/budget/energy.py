"""Energy from the GPU's own counter, or nothing: a number is never estimated from a power rating.

The counter (total energy since the driver was loaded, in millijoule) ticks every 20 to 100 ms, hence long windows.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import torch

from stilts.errors import UserError

WINDOW = 10.0  # seconds; a tick is at most 1 % of it


def energy_counter(device: torch.device) -> Callable[[], int] | None:
    """Return a function that reads the counter of a device in millijoule; None where there is none."""
    if device.type != "cuda":
        return None
    with contextlib.suppress(Exception):  # no driver library, an older GPU, a slice of one
        import pynvml

        pynvml.nvmlInit()
        uuid = torch.cuda.get_device_properties(device).uuid
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
        pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
        return lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    return None


def joules(before: int, after: int) -> float:
    """Return the energy between two readings in joule.

    Raises UserError where the counter did not rise: it wrapped, or the driver was loaded anew meanwhile.
    """
    if after <= before:
        raise UserError(
            f"the GPU's energy counter went from {before} to {after} mJ: it wrapped or was reset; measure again"
        )
    return (after - before) / 1000
